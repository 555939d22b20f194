"""A bridge on a real port, with fake parts, and someone to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web

from bridge.config import Places, Settings
from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from bridge.protocol import frame as frames
from bridge.protocol.frame import Frame, decode_frame, encode_frame
from bridge.protocol.picture import pixels_payload
from bridge.server import app as application
from bridge.server.parts import READINESS
from tests.server.fakes import FakeParts

OWNER = "the-owner's-token"


@dataclass
class Reply:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The error code of a problem document; None where there is none."""
        is_problem = self.headers["Content-Type"] == "application/problem+json"
        return self.json["code"] if is_problem else None

    @property
    def frame(self) -> Frame:
        assert self.headers["Content-Type"] == frames.MEDIA_TYPE, self.body[:500]
        return decode_frame(self.body)


@dataclass
class Bridge:
    """A running bridge: `await bridge("GET", "/v1/health")`."""

    app: web.Application
    places: Places
    port: int
    fakes: FakeParts
    session: aiohttp.ClientSession
    runner: web.AppRunner

    async def stop(self) -> None:
        """In good order; a second time does nothing."""
        await self.runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __call__(
        self, method: str, path: str, *, token: str | None = OWNER, headers: Any = None, **body: Any
    ) -> Reply:
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        async with self.session.request(method, self.url + path, headers=sent, **body) as response:
            return Reply(response.status, response.headers, await response.read())

    async def raw(self, data: bytes) -> Reply:
        """Send bytes as they are, and no more than they are; what comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            status, _, fields = head.decode("latin-1").partition("\r\n")
            headers = dict(field.split(": ", 1) for field in fields.strip().split("\r\n"))
            body = await reader.readexactly(int(headers["Content-Length"]))
            return Reply(int(status.split()[1]), headers, body)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def begin(
        self, path: str, *, begun: bytes = b"", length: int = 10**6, media_type: str = frames.MEDIA_TYPE
    ) -> Reply:
        """Begin a body of `length` bytes and stall after `begun`; what comes back all the same."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nAuthorization: Bearer {OWNER}\r\n"
            f"Content-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
        )
        return await self.raw(head.encode() + begun)

    async def ready(self) -> None:
        await self.app[READINESS].settled()


Start = Callable[..., Awaitable[Bridge]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts bridges: `await start(fakes, max_requests=1)`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start_one(fakes: FakeParts | None = None, **settings: Any) -> Bridge:
            fakes = fakes or FakeParts()
            places = Places(tmp_path / "home" / "bridge.json", tmp_path / "data")
            app = application.build(Settings(**settings), places, owner_token=OWNER, open_parts=fakes.open)
            runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            # A test that failed with the gate closed must still come to its end.
            stack.callback(fakes.engine.gate.set)
            stack.callback(fakes.hold.set)
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            session = await stack.enter_async_context(aiohttp.ClientSession())
            return Bridge(app, places, runner.addresses[0][1], fakes, session, runner)

        yield start_one


@pytest.fixture
async def bridge(start: Start) -> Bridge:
    """A bridge that is ready."""
    running = await start()
    await running.ready()
    return running


@dataclass(frozen=True)
class Samples:
    """Small pictures in both body kinds."""

    image: Image
    png: bytes = field(repr=False)

    def frame(self, request: Any = None, image: Image | None = None, **changes: Any) -> bytes:
        payload, view = pixels_payload("image", (image or self.image).pixels)
        return encode_frame("request", request or {}, [(payload.model_copy(update=changes), view)])

    def form(self, request: Any = None, **more: Any) -> aiohttp.FormData:
        form = aiohttp.FormData()
        if request is not None:
            form.add_field("request", json.dumps(request), content_type="application/json")
        form.add_field("image", self.png, filename="photo.png", content_type="image/png")
        for name, value in more.items():
            form.add_field(name, value)
        return form


FRAME = {"Content-Type": frames.MEDIA_TYPE}


@pytest.fixture(scope="session")
def samples() -> Samples:
    """A 96 x 80 RGB picture of smooth noise."""
    noise = np.random.default_rng(7).integers(60, 190, (80, 96, 3))
    image = Image(noise.astype(np.uint8))
    return Samples(image, encode(image, Format.PNG).data)
