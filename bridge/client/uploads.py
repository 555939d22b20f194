"""Sends a file in one stream, and goes on where a broken connection left off."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from io import BufferedReader
from pathlib import Path
from urllib.parse import quote

from bridge.client.connection import CHUNK_BYTES, Connection, parsed
from bridge.errors import BridgeUnreachable, SourceMissing, SourceUnreadable, UploadOffsetConflict
from bridge.protocol.uploads import UploadState

NAME_HEADER, LENGTH_HEADER, OFFSET_HEADER = "GPEN-File-Name", "Upload-Length", "Upload-Offset"
BYTES = "application/octet-stream"
TRIES = 5
FIRST_PAUSE = 0.25
"""Seconds before the second try; each pause is twice the one before."""


async def upload(connection: Connection, path: Path) -> UploadState:
    """Send the file at `path`.

    Raises:
        SourceMissing, SourceUnreadable: it cannot be read, or changed while it was sent.
        BridgeUnreachable: the connection broke as often as it was tried.
    """
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        state = await _created(connection, path, size)
        address = f"/v1/uploads/{state.upload}"
        for tries in range(1, TRIES + 1):
            try:
                if not state.complete:  # it may be whole, and only the answer was lost
                    state = await _send_rest(connection, address, file, state.offset, size)
                break
            except (BridgeUnreachable, UploadOffsetConflict):
                if tries == TRIES:
                    raise
                await asyncio.sleep(FIRST_PAUSE * 2 ** (tries - 1))
                state = await connection.ask("GET", address, UploadState)
        if state.sha256 != await asyncio.to_thread(_sha256, file):
            raise SourceUnreadable(f"{path} changed while it was sent.")
    return state


async def _created(connection: Connection, path: Path, size: int) -> UploadState:
    headers = {
        "Content-Type": BYTES,
        NAME_HEADER: quote(os.fsencode(path.name)),
        LENGTH_HEADER: str(size),
    }
    async with connection.answer("POST", "/v1/uploads", data=b"", headers=headers) as response:
        return parsed(UploadState, await response.read())


async def _send_rest(
    connection: Connection, address: str, file: BufferedReader, offset: int, size: int
) -> UploadState:
    headers = {
        "Content-Type": BYTES,
        "Content-Length": str(size - offset),
        OFFSET_HEADER: str(offset),
    }
    body = _pieces(file, offset, size)
    async with connection.answer("PATCH", address, data=body, headers=headers) as response:
        return parsed(UploadState, await response.read())


async def _pieces(file: BufferedReader, offset: int, size: int) -> AsyncIterator[bytes]:
    file.seek(offset)
    while offset < size:
        piece = await asyncio.to_thread(file.read, min(CHUNK_BYTES, size - offset))
        if not piece:
            raise SourceUnreadable(f"{file.name} became shorter while it was sent.")
        offset += len(piece)
        yield piece


def _opened(path: Path) -> BufferedReader:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise SourceMissing(f"{path} does not exist.") from error
    except OSError as error:
        raise SourceUnreadable(f"{path} cannot be read: {error.strerror or error}.") from error


def _sha256(file: BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()
