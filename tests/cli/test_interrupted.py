"""What is stopped, cut off or done twice at once: the same command brings everything to its end, once."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.cli import batch as batches
from bridge.cli import bridges, watch
from bridge.cli.batch import Batch, Picture
from bridge.cli.enhance import Report, _all, job_request
from bridge.cli.watch import HotFolder, _live
from bridge.client import Client
from bridge.client.connection import Connection
from bridge.config import Places
from bridge.errors import BridgeError, BridgeUnreachable, Cancelled, CommandRunning, StoreUnavailable
from bridge.jobs import spool
from tests.server.conftest import OWNER, Bridge, Samples, Start, samples, start

__all__ = ["samples", "start"]  # fixtures of the server's tests, used here too

OPTIONS = {"output": {"template": "cli/{date}/{stem}-GPEN"}}


@pytest.fixture
async def bridge(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> Bridge:
    """A bridge with fake parts, which the verbs find."""
    running = await start(retry_seconds=0.01)
    await running.ready()

    @asynccontextmanager
    async def this_one(*_: Any) -> AsyncIterator[Client]:
        async with Client(running.url, OWNER) as client:
            yield client

    monkeypatch.setattr(bridges, "bridge_for", this_one)
    monkeypatch.setattr(bridges, "LOSS_PAUSE", 0.001)
    monkeypatch.setattr(batches, "AHEAD", 2)
    return running


def shoot(folder: Path, samples: Samples, *names: str) -> list[Path]:
    """Some photos, and one that is none."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(samples.png)
    (folder / "torn.png").write_bytes(samples.png[:100])
    return [folder / name for name in (*names, "torn.png")]


class Meddler:
    """Calls `what` at request number `at` of this command, before it is sent or after its answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.count, self.after = 0, 0, False
        self.what: Callable[[], None] = lambda: None
        real = Connection.answer

        @asynccontextmanager
        async def answer(
            connection: Connection, *words: Any, **body: Any
        ) -> AsyncIterator[aiohttp.ClientResponse]:
            self.count += 1
            now = self.count == self.at
            if now and not self.after:
                self.what()
                await asyncio.sleep(0)
            async with real(connection, *words, **body) as response:
                yield response
            if now and self.after:
                self.what()
                await asyncio.sleep(0)

        monkeypatch.setattr(Connection, "answer", answer)

    def arm(self, at: int, after: bool, what: Callable[[], None]) -> None:
        self.at, self.after, self.what, self.count = at, after, what, 0


def check(folder: Path, told: Report, names: int) -> None:
    """Every photo has one result, the torn one a reason, and nothing else lies about."""
    assert (len(told), len(told.failed)) == (names + 1, 1)
    assert told.failed[0]["path"].endswith("torn.png")
    found = sorted(path.name for path in folder.iterdir() if "GPEN" in path.name or path.name.startswith("."))
    assert found == sorted(Path(item["output"]).name for item in told._items if "output" in item)
    assert len(found) == names
    assert not [name for name in found if not name.endswith("-GPEN.png")]


async def test_a_photo_with_the_longest_name_gets_its_result_and_keeps_it(
    bridge: Bridge, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = shoot(tmp_path / "photos", samples, f"{'x' * 251}.png")

    async def cut_off(*_: Any) -> None:
        command.cancel()  # the result is home, and nobody was told
        await asyncio.sleep(0)

    with monkeypatch.context() as patch:
        patch.setattr(Client, "acknowledge", cut_off)
        command = asyncio.ensure_future(_all(photos, None, job_request(OPTIONS), Report(False, photos)))
        with pytest.raises(asyncio.CancelledError):
            await command
    told = Report(False, photos)
    await asyncio.wait_for(_all(photos, None, job_request(OPTIONS), told), timeout=60)
    check(tmp_path / "photos", told, 1)


@pytest.mark.parametrize("after", [False, True])
async def test_ctrl_c_at_every_step(
    bridge: Bridge, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    meddler = Meddler(monkeypatch)
    for at in range(1, 100):
        folder = tmp_path / f"{at}"
        photos = shoot(folder, samples, "a.png")
        stopped = Report(False, photos)
        command = asyncio.ensure_future(_all(photos, None, job_request(OPTIONS), stopped))
        meddler.arm(at, after, command.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await command
        meddler.at = 0
        if not command.cancelled():
            break
        told = Report(False, photos)
        await _all(photos, None, job_request(OPTIONS), told)
        check(folder, told, 1)
    assert 8 < at < 99


@pytest.mark.parametrize("after", [False, True])
async def test_the_bridge_is_lost_at_every_step(
    bridge: Bridge, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    meddler = Meddler(monkeypatch)

    def lost() -> None:
        raise BridgeUnreachable("pulled the plug")

    for at in range(1, 100):
        folder = tmp_path / f"{at}"
        photos = shoot(folder, samples, "a.png")
        told = Report(False, photos)
        meddler.arm(at, after, lost)
        await _all(photos, None, job_request(OPTIONS), told)
        check(folder, told, 1)
        if meddler.count < at:
            break
    assert 8 < at < 99


async def test_the_same_command_twice_at_once_is_refused(
    bridge: Bridge, samples: Samples, tmp_path: Path
) -> None:
    photos = shoot(tmp_path / "photos", samples, "a.png", "b.png")
    reports = [Report(False, photos) for _ in range(2)]
    ends = await asyncio.gather(
        *(_all(photos, None, job_request(OPTIONS), report) for report in reports), return_exceptions=True
    )
    assert [type(end) for end in ends] == [type(None), CommandRunning]
    check(tmp_path / "photos", reports[0], 2)


async def test_two_commands_at_once_do_not_mix(bridge: Bridge, samples: Samples, tmp_path: Path) -> None:
    kinds = {name: shoot(tmp_path / name, samples, "a.png", "b.png", "c.png") for name in ("one", "two")}
    reports = {name: Report(False, photos) for name, photos in kinds.items()}
    await asyncio.gather(*(_all(kinds[name], None, job_request(OPTIONS), reports[name]) for name in kinds))
    for name, report in reports.items():
        check(tmp_path / name, report, 3)


async def test_what_failed_is_tried_again_and_the_rest_is_not(
    bridge: Bridge, samples: Samples, tmp_path: Path
) -> None:
    photos = shoot(tmp_path / "photos", samples, "a.png", "b.png")
    for _ in range(3):
        told = Report(False, photos)
        await _all(photos, None, job_request(OPTIONS), told)
        check(tmp_path / "photos", told, 2)
    async with Client(bridge.url, OWNER) as client:
        (job,) = (await client.jobs()).jobs
        items = [item async for item in client.items(job.job)]
    assert [item.state for item in items] == ["done", "done", "failed"]


async def test_a_result_that_was_lost_everywhere_is_made_again(
    bridge: Bridge, samples: Samples, tmp_path: Path
) -> None:
    photos = shoot(tmp_path / "photos", samples, "a.png", "b.png")
    for _ in range(2):
        told = Report(False, photos)
        await _all(photos, None, job_request(OPTIONS), told)
        check(tmp_path / "photos", told, 2)
        (tmp_path / "photos" / "a-GPEN.png").unlink()
        for result in bridge.places.outputs.rglob("a-GPEN.png"):
            result.unlink()
    told = Report(False, photos)
    await _all(photos, None, job_request(OPTIONS), told)
    check(tmp_path / "photos", told, 2)


async def test_a_batch_that_somebody_cancels_ends(bridge: Bridge, samples: Samples, tmp_path: Path) -> None:
    photos = shoot(tmp_path / "photos", samples, *(f"{number}.png" for number in range(20)))[:20]
    bridge.fakes.engine.gate.clear()
    told = Report(False, photos)
    command = asyncio.ensure_future(_all(photos, None, job_request(OPTIONS), told))
    async with Client(bridge.url, OWNER) as client, asyncio.timeout(30):
        while not (jobs := (await client.jobs()).jobs) or not jobs[0].counts.leased:
            await asyncio.sleep(0.01)
        await client.steer(jobs[0].job, "cancel")
        bridge.fakes.engine.gate.set()
        await command
        job = await client.job(jobs[0].job)
    assert told.interrupted
    assert len(told) <= job.counts.total < 6  # those that were sent, and not one after it was heard
    assert {item["error"]["code"] for item in told.failed} == {"cancelled"}
    assert job.state == "cancelled"
    again = Report(False, photos)
    await _all(photos, None, job_request(OPTIONS), again)
    assert (len(again), again.failed, again.interrupted) == (20, [], False)


class Troubled:
    """Refuses every request of a command to a place of the bridge with the same error, `times` times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: BridgeError, part: str, times: int) -> None:
        self.left = times
        real = Connection.answer

        @asynccontextmanager
        async def answer(
            connection: Connection, method: str, path: str, *words: Any, **body: Any
        ) -> AsyncIterator[aiohttp.ClientResponse]:
            if self.left and part in f"{method} {path}":
                self.left -= 1
                raise error
            async with real(connection, method, path, *words, **body) as response:
                yield response

        monkeypatch.setattr(Connection, "answer", answer)


@pytest.mark.parametrize("part", ["POST /v1/uploads", "POST /v1/jobs", "/ack"])
async def test_a_trouble_of_the_bridge_that_heals_is_waited_out(
    bridge: Bridge, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    photos = shoot(tmp_path / "photos", samples, "a.png", "b.png", "c.png")
    trouble = Troubled(monkeypatch, StoreUnavailable("The store is locked."), part, 3)
    told = Report(False, photos)
    await _all(photos, None, job_request(OPTIONS), told)
    assert trouble.left == 0
    check(tmp_path / "photos", told, 3)


async def test_ctrl_c_is_not_lost_with_the_bridge(
    bridge: Bridge, samples: Samples, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = shoot(tmp_path / "photos", samples, "a.png")
    bridge.fakes.engine.gate.clear()
    Troubled(monkeypatch, BridgeUnreachable("It has stopped."), "/pause", 1)
    command = asyncio.ensure_future(_all(photos, None, job_request(OPTIONS), Report(False, photos)))
    async with Client(bridge.url, OWNER) as client, asyncio.timeout(30):
        while not (jobs := (await client.jobs()).jobs) or not jobs[0].counts.leased:
            await asyncio.sleep(0.01)
    command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await command
    bridge.fakes.engine.gate.set()


async def test_a_photo_that_goes_away_fails_alone(bridge: Bridge, samples: Samples, tmp_path: Path) -> None:
    photos = shoot(tmp_path / "photos", samples, "a.png", "b.png", "c.png")
    (tmp_path / "photos" / "b.png").unlink()
    told = Report(False, photos)
    await _all(photos, None, job_request(OPTIONS), told)
    codes = {Path(item["path"]).name: item["error"]["code"] for item in told.failed}
    assert codes.pop("b.png") == "source_missing"
    assert set(codes) == {"torn.png"}
    assert len(told) == 4


# --- watch ------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.02)


def hot_folder(tmp_path: Path) -> HotFolder:
    folder = tmp_path / "hot"
    folder.mkdir(exist_ok=True)
    return HotFolder(folder, folder / "GPEN", rest=0.1)


@asynccontextmanager
async def watching(hot: HotFolder) -> AsyncIterator[None]:
    """A watch that is stopped by Ctrl-C at the end of the block."""
    command = asyncio.ensure_future(_live(hot, job_request(OPTIONS), once=False))
    try:
        yield
    finally:
        command.cancel()
        await asyncio.gather(command, return_exceptions=True)


async def until(hot: HotFolder, *names: str) -> None:
    async with asyncio.timeout(30):
        while not {f"{name}-GPEN.png" for name in names} <= {path.name for path in found(hot)}:
            await asyncio.sleep(0.02)


def found(hot: HotFolder) -> list[Path]:
    return list(hot.results.iterdir()) if hot.results.exists() else []


async def test_a_folder_that_changes_while_it_is_watched(
    bridge: Bridge, samples: Samples, tmp_path: Path, quick: None
) -> None:
    hot = hot_folder(tmp_path)
    (hot.folder / "first.png").write_bytes(samples.png)
    async with watching(hot):
        growing = hot.folder / "growing.png"
        growing.touch()
        for start in range(0, len(samples.png), len(samples.png) // 8):
            with growing.open("ab") as file:
                file.write(samples.png[start : start + len(samples.png) // 8])
            await asyncio.sleep(0.05)
        partial = hot.folder / "copied.png.part"
        partial.write_bytes(samples.png)
        (hot.folder / ".hidden.png").write_bytes(samples.png)
        (hot.folder / "old-GPEN.png").write_bytes(samples.png)
        (hot.folder / "empty.png").touch()
        (hot.folder / "notes.txt").write_text("no picture")
        await until(hot, "first", "growing")
        partial.rename(hot.folder / "copied.png")
        await until(hot, "copied")
        (hot.folder / "first.png").unlink()
        (hot.folder / "short.png").write_bytes(samples.png)
        (hot.folder / "short.png").unlink()
        await asyncio.sleep(0.3)
    assert sorted(path.name for path in found(hot)) == [
        "copied-GPEN.png",
        "first-GPEN.png",
        "growing-GPEN.png",
    ]
    assert (hot.told, hot.failed) == (3, 0)


async def test_watch_goes_on_after_stops_without_repeating(
    bridge: Bridge, samples: Samples, tmp_path: Path, quick: None
) -> None:
    names = [f"p{number}" for number in range(6)]
    for name in names[:3]:
        (hot_folder(tmp_path).folder / f"{name}.png").write_bytes(samples.png)
    for pause in (0.15, 0.2, 0.25, 0.3, 0.4):
        async with watching(hot_folder(tmp_path)):
            await asyncio.sleep(pause)
    hot = hot_folder(tmp_path)
    for name in names[3:]:
        (hot.folder / f"{name}.png").write_bytes(samples.png)
    async with asyncio.timeout(30):  # to the end: a result that is there may not be acknowledged yet
        await _live(hot, job_request(OPTIONS), once=True)
    async with watching(again := hot_folder(tmp_path)):
        await asyncio.sleep(0.4)
    assert again.told == 0
    assert sorted(path.name for path in found(hot)) == [f"{name}-GPEN.png" for name in names]


async def test_watch_outlives_a_drive_that_goes_away_and_a_lost_bridge(
    bridge: Bridge, samples: Samples, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    meddler = Meddler(monkeypatch)

    def lost() -> None:
        raise BridgeUnreachable("pulled the plug")

    hot = hot_folder(tmp_path)
    (hot.folder / "first.png").write_bytes(samples.png)
    async with watching(hot):
        await until(hot, "first")
        away = tmp_path / "away"
        hot.folder.rename(away)
        await asyncio.sleep(0.2)
        away.rename(hot.folder)
        meddler.arm(3, True, lost)
        (hot.folder / "second.png").write_bytes(samples.png)
        await until(hot, "second")
    assert sorted(path.name for path in found(hot)) == ["first-GPEN.png", "second-GPEN.png"]


async def test_a_watch_whose_batch_somebody_cancels_ends_and_says_so(
    bridge: Bridge, samples: Samples, tmp_path: Path, quick: None
) -> None:
    hot = hot_folder(tmp_path)
    bridge.fakes.engine.gate.clear()
    for number in range(6):
        (hot.folder / f"p{number}.png").write_bytes(samples.png)
    command = asyncio.ensure_future(_live(hot, job_request(OPTIONS), once=False))
    async with Client(bridge.url, OWNER) as client, asyncio.timeout(30):
        while not (jobs := (await client.jobs()).jobs) or not jobs[0].counts.leased:
            await asyncio.sleep(0.01)
        await client.steer(jobs[0].job, "cancel")
        bridge.fakes.engine.gate.set()
        with pytest.raises(Cancelled, match="watched no more"):
            await command
        assert (await client.job(jobs[0].job)).state == "cancelled"


async def test_once_gives_up_on_a_lost_drive_and_the_next_run_brings_the_result(
    bridge: Bridge, samples: Samples, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "AWAY_SECONDS", 0.3)
    hot, away = hot_folder(tmp_path), tmp_path / "away"
    (hot.folder / "first.png").write_bytes(samples.png)
    taken, give = [], Batch.give

    async def leave_after(batch: Batch, picture: Picture) -> None:
        await give(batch, picture)
        taken.append(picture)
        hot.folder.rename(away)

    monkeypatch.setattr(Batch, "give", leave_after)
    async with asyncio.timeout(30):
        await _live(hot, job_request(OPTIONS), once=True)
    assert (len(taken), hot.told, hot.failed, found(hot)) == (1, 1, 1, [])
    away.rename(hot.folder)
    async with asyncio.timeout(30):
        await _live(again := hot_folder(tmp_path), job_request(OPTIONS), once=True)
    assert (again.told, again.failed) == (1, 0)
    assert [path.name for path in found(hot)] == ["first-GPEN.png"]


async def test_a_drive_that_goes_away_while_a_result_appears(
    bridge: Bridge, samples: Samples, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the result's name and the end of its part: nobody can clean up on a drive that is away."""
    hot, away = hot_folder(tmp_path), tmp_path / "away"
    real, gone = spool.sync_folder, threading.Event()

    def sync_folder(path: Path) -> None:
        if path == hot.results and list(path.glob("*-GPEN.png")) and not gone.is_set():
            hot.folder.rename(away)
            gone.set()
        real(path)

    monkeypatch.setattr(spool, "sync_folder", sync_folder)
    (hot.folder / "first.png").write_bytes(samples.png)
    async with watching(hot):
        async with asyncio.timeout(30):
            await asyncio.to_thread(gone.wait)
            await asyncio.sleep(0.3)
            assert not hot.folder.exists()  # where a drive belongs, nothing is made in its place
            away.rename(hot.folder)
            while not hot.told:
                await asyncio.sleep(0.02)
    assert [path.name for path in found(hot)] == ["first-GPEN.png"]
    assert (hot.told, hot.failed) == (1, 0)


async def test_what_a_killed_fetch_left_is_swept_and_nothing_else(
    bridge: Bridge, samples: Samples, tmp_path: Path, quick: None
) -> None:
    hot = hot_folder(tmp_path)
    (hot.folder / "first.png").write_bytes(samples.png)
    async with watching(hot):
        await until(hot, "first")
    async with Client(bridge.url, OWNER) as client:
        (job,) = (await client.jobs()).jobs
    others = spool.part_of(hot.results, "0123456789abcdef-00c0ffee")
    for part in (spool.part_of(hot.results, f"{job.job}-00c0ffee"), others):
        part.write_bytes(b"half a pict")
    (hot.folder / "second.png").write_bytes(samples.png)
    async with watching(hot_folder(tmp_path)):
        await until(hot, "second")
    assert sorted(path.name for path in found(hot)) == [others.name, "first-GPEN.png", "second-GPEN.png"]


def test_a_file_that_rests_is_told_once_by_its_name_size_and_time(tmp_path: Path) -> None:
    hot = HotFolder(tmp_path, tmp_path / "GPEN", rest=2.0)
    assert hot.look(0.0) == ([], False)
    (tmp_path / "a.png").write_bytes(b"1")
    assert hot.look(10.0) == ([], True)
    assert hot.look(11.9) == ([], True)
    (tmp_path / "a.png").write_bytes(b"12")
    assert hot.look(12.1) == ([], True)
    (whole,), growing = hot.look(14.2)
    assert (whole.path.name, growing) == ("a.png", False)
    shutil.rmtree(tmp_path)
    assert hot.look(15.0) == ([], False)


@pytest.mark.parametrize("name", ["a?b.png", "照片.jpg", "\udcf6 \udcff?1-2.png", "a?1-2?bytes"])
def test_a_file_is_found_by_the_ref_that_it_was_sent_under(name: str) -> None:
    seen = watch.Seen(name, 10, -1700000000123456789)
    assert watch.Seen.parse(ref := str(seen)) == seen
    assert ref.encode()


def test_a_time_that_a_drive_tells_a_little_differently_is_the_same() -> None:
    sent = watch.Submitted(["a?b.png?10-1700000000123456789", "not one of ours"])
    assert "a?b.png?10-1700000000000000000" in sent
    assert "a?b.png?10-1700000001999999999" in sent
    assert "a?b.png?10-1700000004000000000" not in sent
    assert "a?b.png?11-1700000000123456789" not in sent
    assert "not one of ours" not in sent


def test_places_hold_one_lock_a_command(home: Path) -> None:
    places = Places.current()
    with (
        batches.alone(places, "one"),
        batches.alone(places, "two"),
        pytest.raises(CommandRunning),
        batches.alone(places, "one"),
    ):
        pass
    with batches.alone(places, "one"):
        pass
