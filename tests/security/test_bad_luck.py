"""Bad luck that no other file of the tests has: memory, device, disk, sleep, upgrade, two starts at once."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from bridge.errors import Cancelled, EngineError, is_out_of_memory
from bridge.jobs import store as store_module
from bridge.jobs.queue import LEASE_SECONDS
from bridge.jobs.schema import MIGRATIONS
from bridge.reply import Reply
from tests.jobs.conftest import Room, reply, room
from tests.server.conftest import FRAME, Bridge, Samples, Start
from tests.server.test_jobs import item, submit, until, upload
from tests.server.test_serve import Begin, begin, line_of, places

__all__ = ["begin", "places", "reply", "room"]  # fixtures of other rooms, used here too

STAGES = {
    "read": "bridge.jobs.sources.Sources.read",
    "decode": "bridge.pipeline.decode",
    "detect": "tests.server.fakes.FakeDetector.detect",
    "align": "bridge.pipeline.align",
    "restore": "tests.server.fakes.FakeEngine.restore",
    "blend": "bridge.pipeline.blend",
    "encode": "bridge.pipeline.encode",
    "publish": "bridge.jobs.outputs.Outputs.publish",
}
"""What a stage calls first."""


def failing_once(monkeypatch: pytest.MonkeyPatch, target: str, times: int) -> Callable[[], int]:
    """Let a function fail for want of memory so many times; how often it was called."""
    owner, _, name = target.rpartition(".")
    module, _, cls = owner.rpartition(".")
    holder = sys.modules.get(owner) or getattr(sys.modules[module], cls)
    real, calls, lock = getattr(holder, name), [0], threading.Lock()

    def sometimes(*args: Any, **kwargs: Any) -> Any:
        with lock:
            calls[0] += 1
            fails = calls[0] <= times
        if fails:
            raise MemoryError
        return real(*args, **kwargs)

    monkeypatch.setattr(holder, name, sometimes)
    return lambda: calls[0]


@pytest.mark.parametrize("stage", STAGES)
async def test_memory_that_is_short_once_costs_a_try_and_nothing_else(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    bridge = await start(retry_seconds=0.01, job_workers=1)
    await bridge.ready()
    sources = [{"upload": await upload(bridge, samples.png)} for _ in range(2)]
    calls = failing_once(monkeypatch, STAGES[stage], times=1)
    job = await submit(bridge, sources)
    told = await until(bridge, job)
    assert (told["counts"]["done"], told["counts"]["failed"]) == (2, 0)
    assert calls() >= 3
    assert sorted([(await item(bridge, job, number))["attempts"] for number in range(2)]) == [1, 2]


@pytest.mark.parametrize("stage", STAGES)
async def test_memory_that_stays_short_fails_that_photo_by_name(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    bridge = await start(retry_seconds=0.01, job_workers=1)
    await bridge.ready()
    failing_once(monkeypatch, STAGES[stage], times=3)
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    failed = await item(bridge, job)
    assert (failed["state"], failed["attempts"]) == ("failed", 3)
    assert failed["error"]["code"] == "out_of_memory"
    again = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    assert (await until(bridge, again))["counts"]["done"] == 1


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in ("read", "publish")])
async def test_a_request_without_memory_is_answered_by_name(
    bridge: Bridge, samples: Samples, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    failing_once(monkeypatch, STAGES[stage], times=1)
    told = await bridge("POST", "/v1/enhance", data=samples.form())
    assert told.code == "out_of_memory", told.body
    assert (await bridge("POST", "/v1/enhance", data=samples.form())).status == 200


def test_opencv_says_it_in_its_own_way() -> None:
    error = cv2.error("Failed to allocate 4000000000 bytes")
    error.code = -4  # type: ignore[attr-defined]  # as OpenCV sets it
    assert is_out_of_memory(error)
    assert not is_out_of_memory(cv2.error("anything else"))
    assert not is_out_of_memory(ValueError())


async def test_a_device_that_is_lost_in_the_middle_of_a_batch(start: Start, samples: Samples) -> None:
    """The passes fail until the driver is back; each photo is tried again, in the end all are done."""
    bridge = await start(retry_seconds=0.01)
    await bridge.ready()
    engine = bridge.fakes.engine
    sources = [{"upload": await upload(bridge, samples.png)} for _ in range(6)]
    engine.gate.clear()
    job = await submit(bridge, sources)
    await asyncio.to_thread(engine.entered.acquire)
    engine.failure = EngineError("CUDA error: device-side assert triggered")
    engine.gate.set()
    await asyncio.to_thread(engine.entered.acquire)
    engine.failure = None
    told = await until(bridge, job)
    assert told["counts"]["done"] + told["counts"]["failed"] == 6
    await bridge("POST", f"/v1/jobs/{job}/retry", json={})
    told = await until(bridge, job, lambda told: told["counts"]["done"] == 6)
    assert told["counts"]["failed"] == 0


async def test_output_and_upload_folders_that_vanish_are_made_again(bridge: Bridge, samples: Samples) -> None:
    """A drive that was swapped, a cleaner that cleaned too much: the next photo is not lost for it."""
    for folder in (bridge.places.outputs, bridge.places.uploads, bridge.places.previews):
        shutil.rmtree(folder, ignore_errors=True)
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    assert (await until(bridge, job))["counts"]["done"] == 1
    result = (await item(bridge, job))["result"]
    assert Path(result["path"]).is_file()


async def test_a_photo_whose_upload_vanished_is_named_and_the_others_go_on(
    start: Start, samples: Samples
) -> None:
    bridge = await start(retry_seconds=0.01)
    await bridge.ready()
    gone, there = await upload(bridge, samples.png), await upload(bridge, samples.png)
    bridge.fakes.engine.gate.clear()
    (bridge.places.uploads / gone).unlink()
    job = await submit(bridge, [{"upload": there}])
    refused = await bridge(
        "POST",
        "/v1/jobs",
        json={"items": [{"ref": "a", "source": {"upload": gone}}, {"ref": "b", "source": {"upload": there}}]},
    )
    bridge.fakes.engine.gate.set()
    assert (await until(bridge, job))["counts"]["done"] == 1
    if refused.status == 202:
        told = await until(bridge, refused.json["job"])
        assert (told["counts"]["done"], told["counts"]["failed"]) == (1, 1)


def test_a_night_asleep_publishes_nothing_twice(room: Room, reply: Reply) -> None:
    """On some systems the monotonic clock goes on while the laptop sleeps: the leases are late at waking."""
    job = room.submit(2)
    asleep = room.leased()
    room.queue.enter(asleep, "detect")
    room.clock += 8 * 3600
    assert LEASE_SECONDS < 8 * 3600
    assert room.queue.expire() == [asleep.lease_id]
    again = room.leased()
    room.publish(again, reply)
    room.publish(room.leased(), reply)
    # The worker that slept goes on where it was, and finds that the lease is no longer its own.
    with pytest.raises(Cancelled):
        room.outputs.publish(asleep, reply, {}, lambda: True)
    assert not room.queue.release(asleep)
    assert room.queue.fail(asleep, EngineError("woke up"), {}) is None
    assert [room.state(job, number) for number in range(2)] == ["done", "done"]
    assert len(room.files()) == 2


def test_a_store_of_an_older_version_goes_on_in_the_middle_of_its_batch(
    tmp_path: Path, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in range(1, len(MIGRATIONS)):
        monkeypatch.setattr(store_module, "MIGRATIONS", MIGRATIONS[:version])
        old = Room(tmp_path / f"version-{version}")
        job = old.submit(3)
        old.publish(old.leased(), reply)
        old.queue.enter(old.leased(), "detect")
        monkeypatch.setattr(store_module, "MIGRATIONS", MIGRATIONS)
        new = old.reborn()
        with new.store.read() as rows:
            assert rows.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        new.outputs.recover()
        for _ in range(2):
            new.publish(new.leased(), reply)
        assert new.views.job(job).counts.done == 3
        assert len(new.files()) == 3


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Room(tmp_path / "home")
    job = made.submit(2)
    broken = (*MIGRATIONS, "CREATE TABLE extra (x); INSERT INTO nowhere VALUES (1)")
    monkeypatch.setattr(store_module, "MIGRATIONS", broken)
    with pytest.raises(store_module.StoreUnavailable):
        made.reborn()
    monkeypatch.setattr(store_module, "MIGRATIONS", MIGRATIONS)
    again = Room(tmp_path / "home")
    assert again.views.job(job).counts.queued == 2
    with again.store.read() as rows:
        assert rows.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone()[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
def test_of_two_bridges_started_at_once_one_runs(places: Any, begin: Begin) -> None:
    starting = [begin(), begin(), begin()]
    told = [line_of(process) for process in starting]
    running = [process for process, line in zip(starting, told, strict=True) if "url" in line]
    assert len(running) == 1, told
    for process, line in zip(starting, told, strict=True):
        if process is not running[0]:
            assert (line["code"], process.wait(60)) == ("already_running", 1)
    assert json.loads(places.announcement.read_text())["pid"] == running[0].pid
    if os.name != "nt":
        assert stat.S_IMODE(places.data.stat().st_mode) == 0o700
    running[0].send_signal(signal.SIGTERM)
    assert running[0].wait(60) == 0


async def test_a_broken_frame_in_the_middle_of_good_ones_costs_only_itself(
    bridge: Bridge, samples: Samples
) -> None:
    good, bad = samples.frame({}), samples.frame({})[:-7]
    told = await asyncio.gather(
        *(bridge("POST", "/v1/faces", data=data, headers=FRAME) for data in (good, bad, good, bad, good))
    )
    assert [reply.status for reply in told] == [200, 400, 200, 400, 200]
