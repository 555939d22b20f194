from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from bridge.protocol.events import Event
from bridge.server import events
from bridge.server.events import FEED
from tests.server.conftest import OWNER, Bridge, Samples, Start
from tests.server.test_jobs import item, submit, until, upload


@asynccontextmanager
async def listening(bridge: Bridge, since: int | None = None, token: str = OWNER) -> Any:
    async with bridge.session.ws_connect(f"{bridge.url}/v1/events") as socket:
        await socket.send_json({"token": token} | ({} if since is None else {"since": since}))
        yield socket


async def read_until(socket: Any, seq: int) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(20):
        while not told or told[-1]["seq"] < seq:
            told.append(await socket.receive_json())
            Event.model_validate(told[-1])
    return told


async def test_a_batch_is_told_from_beginning_to_end(bridge: Bridge, samples: Samples) -> None:
    async with listening(bridge) as socket:
        hello = await socket.receive_json()
        assert (hello["type"], hello["complete"]) == ("hello", True)
        job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}] * 2)
        await until(bridge, job)
        told = await read_until(socket, await asyncio.to_thread(bridge.app[FEED].journal.newest))
    assert [event["seq"] for event in told] == list(range(hello["seq"] + 1, told[-1]["seq"] + 1))
    stages = [event["stage"] for event in told if event["type"] == "stage" and event["item"] == 0]
    assert stages[:3] == ["read", "decode", "detect"]
    assert stages[-1] == "publish"
    done = [
        event["state"]["item"]
        for event in told
        if event["type"] == "item" and event["state"]["state"] == "done"
    ]
    assert sorted(done) == [0, 1]
    jobs = [event["state"] for event in told if event["type"] == "job"]
    assert (jobs[0]["state"], jobs[-1]["state"], jobs[-1]["counts"]["done"]) == ("queued", "finished", 2)


async def test_since_resumes_without_gap_or_repeat_after_a_restart(start: Start, samples: Samples) -> None:
    first = await start()
    await first.ready()
    job = await submit(first, [{"upload": await upload(first, samples.png)}])
    await until(first, job)
    async with listening(first, since=0) as socket:
        assert (await socket.receive_json())["complete"]
        seen = [(await socket.receive_json())["seq"] for _ in range(3)]
    await first.stop()
    second = await start()
    await second.ready()
    again = await submit(second, [{"upload": await upload(second, samples.png)}])
    await until(second, again)
    async with listening(second, since=seen[-1]) as socket:
        hello = await socket.receive_json()
        rest = await read_until(socket, hello["seq"])
    assert seen + [event["seq"] for event in rest] == list(range(1, rest[-1]["seq"] + 1))


@pytest.mark.parametrize(
    "first",
    ["{}", "nonsense", '{"token": "wrong"}', '{"token": "", "since": 1}', '{"token": "x", "other": 1}'],
)
async def test_without_the_token_first_it_closes(bridge: Bridge, first: str) -> None:
    async with bridge.session.ws_connect(f"{bridge.url}/v1/events") as socket:
        await socket.send_str(first)
        closed = await socket.receive(timeout=5)
    assert (closed.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 4401)


async def test_who_says_nothing_is_closed(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "GREETING_SECONDS", 0.05)
    async with bridge.session.ws_connect(f"{bridge.url}/v1/events") as socket:
        await socket.receive(timeout=5)
    assert socket.close_code == 4401


async def test_pages_of_other_sites_get_no_socket(bridge: Bridge) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Origin": "null"}):
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await bridge.session.ws_connect(f"{bridge.url}/v1/events", headers=headers)
    assert (await bridge("GET", "/v1/events")).code == "invalid_request"


async def test_events_that_are_not_kept_any_more_are_said(bridge: Bridge, samples: Samples) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    await asyncio.to_thread(bridge.app[FEED].journal.prune, 1)
    async with listening(bridge, since=1) as socket:
        assert not (await socket.receive_json())["complete"]


async def test_a_slow_consumer_is_dropped_and_blocks_nobody(
    bridge: Bridge, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(*_: Any) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(events, "SLOW_SECONDS", 0.1)
    async with listening(bridge) as socket:
        await socket.receive_json()
        monkeypatch.setattr(aiohttp.web.WebSocketResponse, "send_str", stuck)
        job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
        assert (await until(bridge, job))["counts"]["done"] == 1
        while not socket.closed:  # what was on its way comes first
            await socket.receive(timeout=5)
        assert socket.close_code == 4408
    assert (await item(bridge, job))["state"] == "done"


async def test_a_listener_that_goes_changes_nothing(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.gate.clear()
    async with listening(bridge) as socket:
        await socket.receive_json()
        job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    bridge.fakes.engine.gate.set()
    assert (await until(bridge, job))["counts"]["done"] == 1
