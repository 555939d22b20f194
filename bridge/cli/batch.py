"""One batch that a verb feeds with pictures, and whose results it brings home.

Pictures are sent a few ahead of the work, so that a folder of any size takes little room in the bridge.
Everything can be done again: the batch is found by its key, a picture by its `ref`, a result that lies
where it belongs by its bytes. So a verb that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.client import Client
from bridge.errors import BridgeError, BridgeUnreachable, Cancelled, codes
from bridge.jobs.names import suffix_for
from bridge.jobs.spool import appear, discard, part_of, read_back, write_aside
from bridge.protocol.jobs import (
    ItemRequest,
    ItemsRequest,
    ItemState,
    ItemStatus,
    JobRequest,
    JobStatus,
    Source,
)

AHEAD = 8
"""Pictures that wait in the bridge at most: enough for its workers never to wait for this program."""
MARK = "-GPEN"
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
OWN_RESULT = re.compile(rf"{MARK}(-\d+)?$")
SETTLED = (ItemStatus.done, ItemStatus.failed, ItemStatus.cancelled)


@dataclass(frozen=True)
class Picture:
    """A picture to enhance.

    Attributes:
        ref: its name in the batch; the same picture has the same one after a restart.
        folder: where the result goes.
    """

    ref: str
    path: Path
    folder: Path


class Batch:
    """A job of this command's own, from `open` on.

    Args:
        request: the job without its items; those of `request` are ignored.
        key: the Idempotency-Key that finds it again.
    """

    def __init__(self, client: Client, request: JobRequest, key: str) -> None:
        self._client = client
        self._request = request
        self._key = key
        self._events: AsyncIterator[dict[str, Any]] | None = None
        self.job: str | None = None
        self.known: dict[str, ItemState] = {}
        self.resumed = False

    async def open(self) -> None:
        """Find what was left of a run before, and let it go on."""
        self._events = self._client.events()
        await anext(self._events)  # from here on nothing is missed
        found = await self._client.find(self._key)
        if found is None:
            return
        self.job, self.resumed = found.job, True
        async for item in self._client.items(found.job):
            self.known[item.ref] = item
        if found.state is JobStatus.paused:
            await self._client.steer(found.job, "resume")

    def is_over(self, refs: Iterable[str]) -> bool:
        """Whether a run before has finished these pictures and brought them home."""
        found = [self.known.get(ref) for ref in refs]
        return all(
            item is not None
            and item.state in SETTLED
            and (item.state is not ItemStatus.done or item.acked_at is not None)
            for item in found
        )

    async def give(self, picture: Picture) -> None:
        """Send one picture.

        Raises:
            SourceUnreadable: it cannot be read.
            BridgeError: the bridge does not take it.
        """
        sent = await self._client.upload(picture.path)
        item = ItemRequest(ref=picture.ref, source=Source(upload=sent.upload))
        if self.job is None:
            request = self._request.model_copy(update={"items": (item,)})
            self.job = (await self._client.submit(request, idempotency_key=self._key)).job
        else:
            await self._client.add(self.job, ItemsRequest(items=(item,)))

    async def next_settled(self) -> ItemState:
        """The next item of the batch that is done, failed or cancelled.

        Raises:
            BridgeUnreachable: the bridge has stopped.
        """
        assert self._events is not None  # noqa: S101 - `open` comes first; this tells mypy
        async for event in self._events:
            if event["type"] == "item" and event["job"] == self.job:
                item = ItemState.model_validate(event["state"])
                if item.state in SETTLED and item.redo_of is None:
                    return item
        raise BridgeUnreachable("The bridge has stopped; run the same command again to go on.")

    async def bring_home(self, item: ItemState, picture: Picture) -> Path:
        """Write a result to its place and tell the bridge so; a second time does nothing.

        Raises:
            DiskFull, OutputError: it cannot be written; the bridge keeps it.
            ResultGone: the bridge has it no more.
        """
        assert self.job is not None and item.result is not None  # noqa: S101, PT018 - it is done; this tells mypy
        part = part_of(picture.folder, f"{self.job}-{item.item}")
        kind, sha256 = item.result.media_type, item.result.sha256
        target = await asyncio.to_thread(_delivered, picture, kind, sha256, part) if self.resumed else None
        if target is None:
            data = await self._client.result(self.job, item.item)
            target = await asyncio.to_thread(_write, picture, kind, data, part)
        await self._client.acknowledge(self.job, item.item)
        return target

    async def pause(self) -> None:
        """Stop, so that the same command goes on from here."""
        if self.job is not None:
            await self._client.steer(self.job, "pause")


def is_picture(path: Path) -> bool:
    """Whether a file of a folder is meant: a picture, not hidden, and not one of our own results."""
    return (
        path.suffix.lower() in PICTURES
        and not path.name.startswith(".")
        and not OWN_RESULT.search(path.stem)
        and path.is_file()
    )


def target_for(source: Path, folder: Path | None, media_type: str, number: int = 1) -> Path:
    """The name of a result beside its source or in a folder: `stem-GPEN`, from 2 on with the number."""
    suffix = suffix_for(source.name, media_type)
    tail = MARK if number == 1 else f"{MARK}-{number}"
    return (folder or source.parent) / f"{source.stem}{tail}{suffix}"


def _delivered(picture: Picture, media_type: str, sha256: str, part: Path) -> Path | None:
    """Where a result lies that a run before brought home without being able to say so."""
    for number in itertools.count(1):
        target = target_for(picture.path, picture.folder, media_type, number)
        if not target.exists():
            return None
        if read_back(target).sha256 == sha256:
            discard(part)
            return target
    raise AssertionError


def _write(picture: Picture, media_type: str, data: bytes, part: Path) -> Path:
    """Write under the first name that nothing has; whole or not at all."""
    write_aside(part, [data], lambda _: None)
    for number in itertools.count(1):
        target = target_for(picture.path, picture.folder, media_type, number)
        if not target.exists() and appear(part, target, replace=False):
            return target
    raise AssertionError


def error_of(item: ItemState) -> BridgeError:
    """Why an item has no result."""
    if item.error is None:
        return Cancelled("It was cancelled.")
    return codes().get(item.error.code, BridgeError)(item.error.detail, hint=item.error.hint)
