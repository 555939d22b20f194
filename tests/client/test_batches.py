from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.batch import numbered
from bridge.client import Client, uploads
from bridge.errors import (
    BridgeUnreachable,
    ItemNotDone,
    JobUnknown,
    OutputError,
    SourceMissing,
    SourceUnreadable,
    Unauthorized,
)
from bridge.protocol.jobs import (
    ItemRequest,
    ItemResult,
    ItemsRequest,
    JobRequest,
    JobState,
    RetryRequest,
    Source,
    Verdict,
)
from bridge.protocol.reviews import ReviewRequest
from tests.client.conftest import Wire
from tests.server.conftest import OWNER, Bridge, Samples


@pytest.fixture
def photo(tmp_path: Path, samples: Samples) -> Path:
    path = tmp_path / "Müller & 王.png"
    path.write_bytes(samples.png)
    return path


async def submitted(client: Client, *photos: Path, **more: Any) -> JobState:
    items = [
        ItemRequest(ref=str(number), source=Source(upload=(await client.upload(path)).upload))
        for number, path in enumerate(photos)
    ]
    return await client.submit(JobRequest(client="cli", items=tuple(items), **more))


async def finished(client: Client, job: str) -> JobState:
    async with asyncio.timeout(30):
        while (state := await client.job(job)).state != "finished":
            await asyncio.sleep(0.02)
    return state


async def first_result(client: Client, job: str) -> ItemResult:
    await finished(client, job)
    result = (await client.item(job, 0)).result
    assert result is not None
    return result


# --- uploads ----------------------------------------------------------------


async def test_an_upload_keeps_its_name(bridge: Bridge, photo: Path) -> None:
    async with Client(bridge.url, OWNER) as client:
        sent = await client.upload(photo)
    assert (sent.name, sent.complete) == (photo.name, True)
    assert sent.sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()


async def test_an_upload_goes_on_where_the_wire_broke(wire: Wire, tmp_path: Path) -> None:
    photo = tmp_path / "large.tif"
    photo.write_bytes(os.urandom(5_000_000))
    wire.cuts = [2_000_000, 1_000_000, 1_500_000]
    async with Client(wire.url, OWNER) as client:
        sent = await client.upload(photo)
    assert wire.connections >= 4
    assert sent.complete
    assert sent.sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()


async def test_a_wire_that_breaks_again_and_again_is_given_up(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "FIRST_PAUSE", 0.001)
    photo = tmp_path / "large.tif"
    photo.write_bytes(bytes(3_000_000))
    wire.cuts = [20_000] * 50
    async with Client(wire.url, OWNER) as client:
        with pytest.raises(BridgeUnreachable):
            await client.upload(photo)


async def test_a_photo_that_changes_while_it_is_sent_is_refused(
    bridge: Bridge, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = uploads._send_rest

    async def changed_behind_our_back(*arguments: Any) -> Any:
        state = await real(*arguments)
        photo.write_bytes(photo.read_bytes()[::-1])
        return state

    async with Client(bridge.url, OWNER) as client:
        monkeypatch.setattr(uploads, "_send_rest", changed_behind_our_back)
        with pytest.raises(SourceUnreadable, match="changed"):
            await client.upload(photo)
        with pytest.raises(SourceMissing):
            await client.upload(photo.with_name("nobody.png"))
        with pytest.raises(SourceUnreadable):
            await client.upload(photo.parent)


# --- results ----------------------------------------------------------------


async def test_a_result_is_saved_whole_under_a_free_name(bridge: Bridge, photo: Path, tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    async with Client(bridge.url, OWNER) as client:
        job = (await submitted(client, photo)).job
        result = await first_result(client, job)
        saved = [await client.save_result(job, 0, result, numbered(home / "a.png")) for _ in range(3)]
        assert [path.name for path in saved] == ["a.png", "a-2.png", "a-3.png"]
        assert sorted(home.iterdir()) == sorted(saved)
        assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in saved} == {result.sha256}
        assert (await client.acknowledge(job, 0)).acked_at
        assert (await client.job(job)).counts.acked == 1


async def test_a_damaged_result_leaves_nothing(bridge: Bridge, photo: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with Client(bridge.url, OWNER) as client:
        job = (await submitted(client, photo)).job
        result = await first_result(client, job)
        other = result.model_copy(update={"sha256": "0" * 64})
        with pytest.raises(OutputError, match="damaged"):
            await client.save_result(job, 0, other, numbered(home / "a.png"))
    assert list(home.iterdir()) == []


async def test_a_result_that_breaks_off_leaves_nothing(
    bridge: Bridge, wire: Wire, photo: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    async with Client(bridge.url, OWNER) as client:
        job = (await submitted(client, photo)).job
        result = await first_result(client, job)
    wire.cuts = [5000]
    async with Client(wire.url, OWNER) as client:
        with pytest.raises(BridgeUnreachable):
            await client.save_result(job, 0, result, numbered(home / "a.png"))
        assert list(home.iterdir()) == []
        assert await client.save_result(job, 0, result, numbered(home / "a.png")) == home / "a.png"


# --- steering and review ----------------------------------------------------


async def test_one_photo_can_be_steered(bridge: Bridge, photo: Path) -> None:
    bridge.fakes.engine.gate.clear()
    async with Client(bridge.url, OWNER) as client:
        job = (await submitted(client, *[photo] * 12)).job
        assert (await client.steer_item(job, 11, "pause")).paused
        assert not (await client.steer_item(job, 11, "resume")).paused
        assert (await client.steer_item(job, 11, "cancel")).state == "cancelled"
        asked = RetryRequest(states=("cancelled",))
        assert (await client.retry_item(job, 11, asked)).state == "queued"
        await client.steer(job, "cancel")
        bridge.fakes.engine.gate.set()
        with pytest.raises(ItemNotDone):
            await client.review(job, 11, ReviewRequest(verdict=Verdict.accepted))
        with pytest.raises(JobUnknown):
            await client.job("nobody's")


async def test_verdicts_add_up(bridge: Bridge, photo: Path) -> None:
    async with Client(bridge.url, OWNER) as client:
        job = (await submitted(client, photo, photo, preset="phone")).job
        await finished(client, job)
        judged = await client.review(job, 0, ReviewRequest(verdict=Verdict.accepted, note="schön"))
        assert judged.item.review.note == "schön"
        redone = await client.review(job, 1, ReviewRequest(verdict=Verdict.redo, preset="dslr"))
        assert redone.redo is not None
        await finished(client, job)
        (phone,) = [one for one in (await client.reviews()).presets if one.preset == "phone"]
        assert (phone.accepted, phone.redo) == (1, 1)
        assert "schön" in (await client.reviews_csv()).decode()


async def test_items_are_read_by_page(bridge: Bridge, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.client.MAX_PAGE", 2)
    bridge.fakes.engine.gate.clear()
    async with Client(bridge.url, OWNER) as client:
        job = (await submitted(client, photo)).job
        more = ItemRequest(ref="again", source=Source(upload=(await client.upload(photo)).upload))
        for number in range(4):
            item = more.model_copy(update={"ref": f"again {number}"})
            await client.add(job, ItemsRequest(items=(item,)))
        assert [item.item async for item in client.items(job)] == [0, 1, 2, 3, 4]
        await client.steer(job, "cancel")
        cancelled = [item.item async for item in client.items(job, state="cancelled")]
        assert set(cancelled) <= {0, 1, 2, 3, 4}
        assert 4 in cancelled
    bridge.fakes.engine.gate.set()


# --- events -----------------------------------------------------------------


async def test_events_have_no_gap_and_no_repeat_though_the_wire_breaks(
    bridge: Bridge, wire: Wire, photo: Path
) -> None:
    wire.cuts = [3000, 9000, 500, 15000, 7000]
    numbers: list[int] = []
    hellos = 0
    async with Client(bridge.url, OWNER) as direct, Client(wire.url, OWNER) as client:
        job = None
        async with asyncio.timeout(60), aclosing(client.events(since=0)) as events:
            async for event in events:
                if event["type"] == "hello":
                    hellos += 1
                    job = job or (await submitted(direct, *[photo] * 4)).job
                    continue
                numbers.append(event["seq"])
                if event["type"] == "job" and event["state"]["state"] == "finished":
                    break
    assert hellos == 1
    assert wire.connections > 3
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert numbers[0] == 1


async def test_a_token_that_does_not_open_is_said_at_once(bridge: Bridge) -> None:
    async with Client(bridge.url, "nobody's") as client:
        with pytest.raises(Unauthorized):
            await anext(client.events())


async def test_a_bridge_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.client.events.FIRST_PAUSE", 0.001)
    async with Client("http://127.0.0.1:9", OWNER) as client:
        with pytest.raises(BridgeUnreachable):
            await anext(client.events())
