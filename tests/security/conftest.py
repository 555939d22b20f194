"""What attackers need: a bridge as the server's tests have it, and a wire that sends exactly these bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from multidict import CIMultiDict

from bridge.server.pair import PAIRING
from tests.server.conftest import OWNER, Bridge, Reply, bridge, samples, start

__all__ = ["bridge", "samples", "start"]  # fixtures of the server's tests, used here too


@dataclass
class Wire:
    """One connection at a time, kept open while the bridge keeps it open."""

    port: int
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> Reply:
        """Send a request with these headers, in this order and as often as they stand there."""
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        sent = "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body
        if self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        assert self._reader is not None
        self._writer.write(sent)
        head = (await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1")
        status, _, fields = head.strip().partition("\r\n")
        told = CIMultiDict(tuple(field.split(": ", 1)) for field in fields.split("\r\n") if ": " in field)
        code = int(status.split()[1])
        if method == "HEAD" or code in (101, 204, 304):
            content = b""
        elif told.get("Transfer-Encoding") == "chunked":
            content = b"".join([piece async for piece in self._pieces(self._reader)])
        else:
            content = await self._reader.readexactly(int(told.get("Content-Length", 0)))
        if told.get("Connection", "").lower() == "close" or code == 101:
            await self.close()
        return Reply(code, told, content)

    async def _pieces(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        while size := int(await reader.readline(), 16):
            yield await reader.readexactly(size)
            await reader.readline()
        await reader.readline()

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        self._reader = self._writer = None


@pytest.fixture
async def wire(bridge: Bridge) -> AsyncIterator[Wire]:
    opened = Wire(bridge.port)
    yield opened
    await opened.close()


async def paired(bridge: Bridge, name: str = "A plug-in") -> dict[str, str]:
    """A client of its own: `token` and `client_id`."""
    body = {"code": bridge.app[PAIRING].new_code().code, "client": "test", "name": name}
    told = await bridge("POST", "/v1/pair", token=None, json=body)
    return {key: told.json[key] for key in ("token", "client_id")}


async def revoked(bridge: Bridge) -> str:
    """A token that opened once and does not any more."""
    client = await paired(bridge, "Gone")
    await bridge("DELETE", f"/v1/clients/{client['client_id']}", token=OWNER)
    return client["token"]
