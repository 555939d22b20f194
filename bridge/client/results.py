"""Writes what is fetched to its place: aside first, checked, and then under a name that nothing has."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from aiohttp import StreamReader

from bridge.client.connection import CHUNK_BYTES
from bridge.errors import OutputError, OutputExists
from bridge.jobs import spool
from bridge.protocol.jobs import ItemResult


async def save(content: StreamReader, result: ItemResult, targets: Iterable[Path]) -> Path:
    """Write a body to the first of `targets` that does not exist; they lie in one folder.

    Raises:
        OutputExists: every name is taken.
        DiskFull, OutputError: it could not be written, or is not what `result` says; nothing is left.
    """
    names = iter(targets)
    target = next(names)
    part = spool.part_of(target.parent, secrets.token_hex(8))
    try:
        await _receive(content, part, result)
        while not await asyncio.to_thread(spool.appear, part, target, replace=False):
            following = next(names, None)
            if following is None:
                raise OutputExists(f"{target} exists.")
            target = following
    except OSError as error:
        spool.discard(part)
        raise spool.named(error, target.parent) from error
    except BaseException:
        spool.discard(part)
        raise
    return target


async def _receive(content: StreamReader, part: Path, result: ItemResult) -> None:
    digest = hashlib.sha256()
    await asyncio.to_thread(spool.make_folder, part.parent)
    with part.open("xb") as file:
        while piece := await content.read(CHUNK_BYTES):
            await asyncio.to_thread(file.write, piece)
            digest.update(piece)
        await asyncio.to_thread(_flush, file)
    if digest.hexdigest() != result.sha256:
        raise OutputError(
            f"{result.name} came damaged or changed; it was not written.", hint="Fetch it again."
        )


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
