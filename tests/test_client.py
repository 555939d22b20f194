from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

from bridge.client import Client
from bridge.config import Places
from bridge.errors import (
    BridgeUnreachable,
    Cancelled,
    FormatUnsupported,
    PresetReadOnly,
    ProtocolMismatch,
    Unauthorized,
)
from bridge.imaging.codecs import decode
from bridge.presets import Parameters
from bridge.protocol.enhancement import EnhanceRequest, FacesRequest
from bridge.protocol.frame import decode_frame, encode_frame
from bridge.server.announcement import Announcement, announce
from tests.server.conftest import OWNER, Bridge, Samples, samples, start

__all__ = ["samples", "start"]  # fixtures of the server's tests, used here too


@pytest.fixture
async def bridge(start: object) -> Bridge:
    running: Bridge = await start()  # type: ignore[operator]  # the fixture's value
    await running.ready()
    return running


async def test_every_question_has_its_answer(bridge: Bridge, samples: Samples) -> None:
    async with Client(bridge.url, OWNER) as client:
        assert (await client.health()).status == "ok"
        assert (await client.ready()).ready
        assert (await client.capabilities()).device == "a fake device"
        assert (await client.checkpoints()).checkpoints
        assert len((await client.presets()).presets) == 4
        saved = await client.put_preset("Für Ünïcode", Parameters(strength=3))
        assert saved.parameters.strength == 3
        assert len((await client.faces(samples.png)).faces) == 1
        assert (await client.faces(samples.png, FacesRequest(min_size=1000))).faces == ()
        done = await client.enhance(samples.png, EnhanceRequest())
        assert done.media_type == "image/png"
        assert done.result.faces[0].checkpoint == "fake"
        assert decode(done.data, max_megapixels=1).width == 96
        assert (await client.stats()).images == {"done": 1}


async def test_problems_come_back_as_what_was_raised(bridge: Bridge, samples: Samples) -> None:
    async with Client(bridge.url, OWNER) as client:
        with pytest.raises(FormatUnsupported) as caught:
            await client.enhance(b"<svg/>", EnhanceRequest())
        assert caught.value.hint
        with pytest.raises(PresetReadOnly):
            await client.put_preset("default", Parameters())
    async with Client(bridge.url, "wrong") as stranger:
        with pytest.raises(Unauthorized):
            await stranger.ready()
        assert (await stranger.health()).status == "ok"


async def test_cancel(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.gate.clear()
    request_id = str(uuid.uuid4())
    async with Client(bridge.url, OWNER) as client:
        work = asyncio.create_task(client.enhance(samples.png, EnhanceRequest(), request_id=request_id))
        await asyncio.to_thread(bridge.fakes.engine.entered.acquire)
        assert (await client.cancel(request_id)).cancelled
        with pytest.raises(Cancelled):
            await work


async def test_nobody_there(tmp_path: Path) -> None:
    places = Places(tmp_path / "bridge.json", tmp_path)
    with pytest.raises(BridgeUnreachable):
        Client.from_announcement(places)
    stale = Announcement(
        url="http://127.0.0.1:9", token="t", protocol=1, version="0", exchange_dir="x", pid=1
    )
    announce(places, stale)
    async with Client.from_announcement(places) as client:
        with pytest.raises(BridgeUnreachable):
            await client.health()


@pytest.mark.parametrize("body", [b'{"service": "nginx"}', b"{", b"", b"\xff"])
async def test_something_else_there(body: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        status = b"200 OK" if path == b"/v1/health" else b"404 Nothing"
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        writer.write(head % (status, len(body)) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "t") as client:
        with pytest.raises(ProtocolMismatch):
            await client.health()
        with pytest.raises(BridgeUnreachable):
            await client.ready()


def test_another_protocol_is_named(tmp_path: Path) -> None:
    places = Places(tmp_path / "bridge.json", tmp_path)
    announce(places, Announcement(url="x", token="t", protocol=2, version="9", exchange_dir="x", pid=1))
    with pytest.raises(ProtocolMismatch):
        Client.from_announcement(places)


async def test_frames_can_be_exchanged(bridge: Bridge, samples: Samples) -> None:
    async with Client(bridge.url, OWNER) as client:
        answered = await client.exchange("/v1/enhance", samples.frame({"params": {"strength": 0}}))
    assert answered.header.kind == "result"
    assert decode_frame(encode_frame("result", answered.header.message)).header.message["faces"] == []


async def test_a_proxy_in_the_environment_is_ignored(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with Client(bridge.url, OWNER) as client:
        assert (await client.health()).service == "gpen-bridge"
