"""A real bridge, and a wire to it that breaks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from tests.server.conftest import Bridge, Start, samples, start

__all__ = ["samples", "start"]  # fixtures of the server's tests, used here too


@pytest.fixture
async def bridge(start: Start) -> Bridge:
    running = await start()
    await running.ready()
    return running


@dataclass
class Wire:
    """Passes bytes on to a bridge, and is cut after so many of them: once for each entry of `cuts`.

    It has the bridge's port, on the other loopback address: a bridge proves itself for its own port only.

    Attributes:
        cuts: bytes from and to the bridge, together, that a connection lives for.
        connections: how many were made.
    """

    port: int
    cuts: list[int] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://[::1]:{self.port}"

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        left = [self.cuts.pop(0) if self.cuts else 10**12]
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        flows = [
            asyncio.create_task(self._flow(reader, back, left)),
            asyncio.create_task(self._flow(there, writer, left)),
        ]
        await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        for flow in flows:
            flow.cancel()
        for end in (writer, back):
            end.transport.abort()

    async def _flow(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: list[int]) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(4096):
                sink.write(data)
                await sink.drain()
                left[0] -= len(data)
                if left[0] <= 0:
                    return


@pytest.fixture
async def wire(bridge: Bridge) -> AsyncIterator[Wire]:
    wire = Wire(bridge.port)
    async with await asyncio.start_server(wire.carry, "::1", wire.port):
        yield wire
