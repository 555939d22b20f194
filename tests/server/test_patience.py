"""Senders that stop sending: asleep, out of the Wi-Fi, or hostile."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from bridge.imaging.image import Image
from bridge.server import patience
from bridge.server.requests import REQUESTS
from tests.server.conftest import FRAME, OWNER, Bridge, Samples, Start

FORM = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="%b"; filename="a.png"\r\n\r\nbegun'


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "STALL_SECONDS", 0.3)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("path", ["/v1/enhance", "/v1/faces"])
@pytest.mark.parametrize("part", [0, 5, 40, -100], ids=["nothing", "prefix", "header", "pixels"])
async def test_a_frame_that_stalls_gives_its_slot_back(
    start: Start, samples: Samples, path: str, part: int
) -> None:
    bridge = await start(max_requests=1)
    await bridge.ready()
    frame = samples.frame()
    reply = await bridge.begin(path, begun=frame[:part] if part else b"", length=len(frame))
    assert (reply.status, reply.code, reply.json["retryable"]) == (408, "body_stalled", True)
    assert bridge.app[REQUESTS].in_flight == 0
    assert (await bridge("POST", path, headers=FRAME, data=frame)).status == 200


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "begun", [b"", b"--x\r\nConte", PART % b"image"], ids=["nothing", "headers", "bytes"]
)
async def test_a_form_that_stalls_gives_its_slot_back(start: Start, begun: bytes) -> None:
    bridge = await start(max_requests=1)
    await bridge.ready()
    assert (await bridge.begin("/v1/enhance", begun=begun, media_type=FORM)).code == "body_stalled"
    assert bridge.app[REQUESTS].in_flight == 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("begun", "media_type"),
    [(b"", "image/png"), (b"begun", "image/png"), (b"", FORM), (PART % b"file", FORM)],
)
async def test_an_upload_that_stalls_leaves_nothing(bridge: Bridge, begun: bytes, media_type: str) -> None:
    assert (await bridge.begin("/v1/uploads", begun=begun, media_type=media_type)).code == "body_stalled"
    assert not list(bridge.places.uploads.iterdir())


@pytest.mark.usefixtures("impatient")
async def test_a_piece_that_stalls_can_be_gone_on_with(bridge: Bridge) -> None:
    bytes_only = {"Content-Type": "application/octet-stream"}
    made = await bridge("POST", "/v1/uploads", headers={**bytes_only, "Upload-Length": "10"})
    path = f"/v1/uploads/{made.json['upload']}"
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\nAuthorization: Bearer {OWNER}\r\n"
        "Content-Type: application/octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n\r\n"
    )
    assert (await bridge.raw(head.encode() + b"half.")).code == "body_stalled"
    assert (await bridge("GET", path)).json["offset"] == 5
    rest = await bridge("PATCH", path, headers={**bytes_only, "Upload-Offset": "5"}, data=b"other")
    assert rest.json["complete"]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/pair", "/v1/tidy", "/v1/checkpoints"])
async def test_a_question_that_stalls_is_not_waited_for(bridge: Bridge, path: str) -> None:
    assert (await bridge.begin(path, begun=b"{", media_type="application/json")).code == "body_stalled"


@pytest.mark.usefixtures("impatient")
async def test_a_result_that_nobody_takes_gives_its_slot_back(start: Start, samples: Samples) -> None:
    bridge = await start(max_requests=1)
    await bridge.ready()
    # More than the system keeps for two ends of a connection.
    frame = samples.frame(image=Image(np.full((2000, 3000, 3), 120, np.uint8)))
    head = (
        f"POST /v1/enhance HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\nAuthorization: Bearer {OWNER}\r\n"
        f"Content-Type: {FRAME['Content-Type']}\r\nContent-Length: {len(frame)}\r\n\r\n"
    )
    _, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
    writer.write(head.encode() + frame)
    await writer.drain()
    async with asyncio.timeout(20):
        while not bridge.app[REQUESTS].in_flight:
            await asyncio.sleep(0.01)
        while bridge.app[REQUESTS].in_flight:
            await asyncio.sleep(0.01)
    writer.close()
    assert (await bridge("POST", "/v1/enhance", headers=FRAME, data=samples.frame())).status == 200


async def test_a_slow_sender_is_waited_for(
    bridge: Bridge, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "STALL_SECONDS", 1.0)
    frame = samples.frame()
    step = len(frame) // 12 + 1

    async def slowly() -> Any:
        for start in range(0, len(frame), step):
            await asyncio.sleep(0.15)  # 1.8 s in all: longer than one pause may be
            yield frame[start : start + step]

    assert (await bridge("POST", "/v1/faces", headers=FRAME, data=slowly())).status == 200


async def test_a_question_over_the_limit_is_refused_as_it_comes(start: Start) -> None:
    bridge = await start(max_json_bytes=1000)

    async def in_chunks() -> Any:
        for _ in range(3):
            yield b" " * 500

    headers = {"Content-Type": "application/json"}
    reply = await bridge("POST", "/v1/pair", headers=headers, data=in_chunks())
    assert reply.code == "body_too_large"
