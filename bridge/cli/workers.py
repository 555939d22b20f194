"""Who does the work: the bridge that runs already, or this process with parts of its own."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bridge.client import Client
from bridge.config import Places, Settings
from bridge.errors import Busy, NotReady
from bridge.pipeline import Tools, enhance_file
from bridge.protocol.enhancement import EnhanceRequest
from bridge.server.app import open_parts
from bridge.server.presets import PresetStore
from bridge.server.serve import running

PATIENCE_SECONDS = 120.0
"""How long to try again with a bridge that is starting or has its hands full."""
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Done:
    """An enhanced picture, and what the report tells about it."""

    data: bytes
    media_type: str
    found: int
    restored: int
    seconds: dict[str, float]
    warnings: tuple[str, ...]


Worker = Callable[[bytes, EnhanceRequest], Awaitable[Done]]


@asynccontextmanager
async def worker_for(places: Places, settings: Settings) -> AsyncIterator[Worker]:
    """The running bridge if there is one, else parts of our own, closed at the end.

    Raises:
        BridgeError: neither can be had.
    """
    if running(places):
        async with Client.from_announcement(places) as bridge:
            yield functools.partial(_through, bridge)
        return
    parts = await asyncio.to_thread(open_parts, settings, places)
    try:
        await asyncio.to_thread(parts.self_test)
        yield functools.partial(_here, parts.tools, PresetStore(places.presets))
    finally:
        await asyncio.to_thread(parts.close)


async def _through(bridge: Client, data: bytes, request: EnhanceRequest) -> Done:
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            done = await bridge.enhance(data, request)
            break
        except (Busy, NotReady):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(PAUSE_SECONDS)
    result = done.result
    restored = sum(face.checkpoint is not None for face in result.faces)
    return Done(done.data, done.media_type, len(result.faces), restored, result.seconds, result.warnings)


async def _here(tools: Tools, presets: PresetStore, data: bytes, request: EnhanceRequest) -> Done:
    parameters = request.parameters(presets.get(request.preset).parameters)
    cancelled = threading.Event()
    try:
        done = await asyncio.to_thread(
            enhance_file,
            data,
            parameters,
            request.output.file,
            tools,
            preset=request.preset,
            urgent=False,
            cancelled=cancelled,
        )
    finally:
        cancelled.set()  # Ctrl-C arrives here; the thread ends at its next look
    faces = done.enhancement.faces
    restored = sum(face.checkpoint is not None for face in faces)
    return Done(done.data, done.media_type, len(faces), restored, done.enhancement.seconds, done.warnings)
