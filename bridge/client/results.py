"""Writes what is fetched to its place: aside first, checked, and then under a name that nothing has.

The file aside is named after its job. So whoever fetches the results of a job can sweep up what an
earlier fetch of its own left there: a process that was killed, or a drive that went away, cleans up
nothing.
"""

from __future__ import annotations

import asyncio
import glob
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


async def save(content: StreamReader, job: str, result: ItemResult, targets: Iterable[Path]) -> Path:
    """Write a body to the first of `targets` that does not exist; they lie in one folder.

    Args:
        job: whose result it is; its id names the file aside.

    Raises:
        OutputExists: every name is taken.
        DiskFull, OutputError: it could not be written, or is not what `result` says; nothing is left.
    """
    names = iter(targets)
    target = next(names)
    part = spool.part_of(target.parent, f"{job}-{secrets.token_hex(4)}")
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


def sweep(job: str, folder: Path) -> None:
    """Remove what dead fetches of a job's results left in a folder; none may be under way."""
    try:
        left = list(folder.glob(spool.part_of(folder, f"{glob.escape(job)}-*").name))
    except OSError:
        return  # a drive that is away is swept another time
    for part in left:
        spool.discard(part)


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
