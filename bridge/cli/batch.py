"""One batch that a verb feeds with pictures, and whose results it brings home.

Pictures are sent a few ahead of the work, so that a folder of any size takes little room in the bridge.
Everything can be done again: the batch is found by its key, a picture by its `ref`, a result that lies
where it belongs by its bytes. So a verb that was killed goes on where it was.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import Timeout

from bridge.atomic import private_folder
from bridge.client import Client
from bridge.client.results import sweep
from bridge.config import Places
from bridge.errors import (
    BodyTooLarge,
    BridgeError,
    Cancelled,
    CommandRunning,
    SourceMissing,
    SourceUnreadable,
    UploadUnknown,
    codes,
)
from bridge.jobs.names import fitted, suffix_for
from bridge.jobs.spool import named, read_back
from bridge.locks import held
from bridge.protocol.jobs import (
    ItemRequest,
    ItemResult,
    ItemsRequest,
    ItemState,
    ItemStatus,
    JobRequest,
    JobStatus,
    RetryRequest,
    Source,
)

AHEAD = 8
"""Pictures that wait in the bridge at most: enough for its workers never to wait for this program."""
DISK_PAUSE = 5.0
"""Seconds until a bridge whose disk is full is asked again."""
PAUSE_PATIENCE = 5.0
"""Seconds that a stop waits for the bridge to pause."""
MARK = "-GPEN"
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
OWN_RESULT = re.compile(rf"{MARK}(-\d+)?$")
SETTLED = (ItemStatus.done, ItemStatus.failed, ItemStatus.cancelled)
NOT_TAKEN = (SourceMissing, SourceUnreadable, BodyTooLarge)
"""A picture's own fault: it fails, the others go on."""
NOTHING_LEFT = (SourceMissing.code, UploadUnknown.code)
"""The bridge has no copy of the picture any more: it is sent again."""


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
        heard: told every event of the job, and those of the queue.

    Attributes:
        known: the last word on each picture by its `ref`.
        cancelled: somebody cancelled it since `open`: nothing more of it is wanted.
    """

    def __init__(
        self,
        client: Client,
        request: JobRequest,
        key: str,
        heard: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._request = request
        self._key = key
        self._heard = heard
        self._events: AsyncGenerator[dict[str, Any]] | None = None
        self._read: deque[ItemState] = deque()
        self._sent: dict[str, int] = {}
        self._begun: set[str] = set()
        self.job: str | None = None
        self.known: dict[str, ItemState] = {}
        self.resumed = False
        self.cancelled = False

    async def open(self) -> None:
        """Find what was left of a run before, and let it go on."""
        self._events = self._client.events()
        await anext(self._events)  # from here on nothing is missed
        found = await self._client.find(self._key)
        if found is None:
            return
        self.job, self.resumed = found.job, True
        async for item in self._client.items(found.job):
            self._note(item)
        if found.state is JobStatus.paused:
            await self._client.steer(found.job, "resume")

    async def sweep(self, folder: Path) -> None:
        """Remove what a fetch that was killed, or whose drive went away, left in a folder of results."""
        if self.job is not None:
            await asyncio.to_thread(sweep, self.job, folder)

    async def close(self) -> None:
        """Listen no more."""
        if self._events is not None:
            await self._events.aclose()

    def is_over(self, refs: Iterable[str]) -> bool:
        """Whether a run before has finished all these pictures and brought them home."""
        found = [self.known.get(ref) for ref in refs]
        return all(item is not None and item.acked_at is not None for item in found)

    async def give(self, picture: Picture) -> None:
        """Send one picture.

        Raises:
            SourceMissing, SourceUnreadable, BodyTooLarge: there is something about this one.
            DiskFull: the bridge has no room; the picture can be given again.
            BridgeError: the bridge does not take it.
        """
        sent = await self._client.upload(picture.path)
        times = self._sent.get(picture.ref, 0)
        ref = f"{picture.ref}~{times}" if times else picture.ref
        item = ItemRequest(ref=ref, source=Source(upload=sent.upload))
        if self.job is None:
            request = self._request.model_copy(update={"items": (item,)})
            self.job = (await self._client.submit(request, idempotency_key=self._key)).job
        else:
            await self._client.add(self.job, ItemsRequest(items=(item,)))
        self._sent[picture.ref] = times + 1

    async def again(self, picture: Picture) -> None:
        """Try a picture again that a run before could not finish; raises as `give`."""
        item = self.known[picture.ref]
        gone = item.error is not None and item.error.code in NOTHING_LEFT
        if gone or item.state is not ItemStatus.failed or self.job is None:
            await self.give(picture)
        else:
            await self._client.retry_item(self.job, item.item, RetryRequest())

    async def next_settled(self) -> ItemState:
        """The next item of the batch that is done, failed or cancelled; its `ref` is the picture's.

        Raises:
            BridgeUnreachable: the bridge has stopped.
        """
        while not self._read:
            assert self._events is not None  # noqa: S101 - `open` comes first; this tells mypy
            await self._hear(await anext(self._events))
        return self._read.popleft()

    async def bring_home(self, item: ItemState, picture: Picture) -> Path:
        """Bring a result to its place and tell the bridge so; a second time does nothing.

        Raises:
            DiskFull, OutputError: it cannot be written; the bridge keeps it.
            ResultGone: the bridge has it no more, and it is not in its place.
        """
        assert self.job is not None and item.result is not None  # noqa: S101, PT018 - it is done; this tells mypy
        names = targets(picture.path, picture.folder, item.result.media_type)
        seen_before = self.resumed or item.ref in self._begun
        self._begun.add(item.ref)
        target = await asyncio.to_thread(delivered, names, item.result) if seen_before else None
        if target is None:
            names = targets(picture.path, picture.folder, item.result.media_type)
            target = await self._client.save_result(self.job, item.item, item.result, names)
        if item.acked_at is None:
            await self._client.acknowledge(self.job, item.item)
        return target

    async def pause(self) -> None:
        """Stop, so that the same command goes on from here; a bridge that is away has nothing to stop."""
        if self.job is not None:
            with suppress(BridgeError, TimeoutError):
                async with asyncio.timeout(PAUSE_PATIENCE):
                    await self._client.steer(self.job, "pause")

    async def cancel(self) -> None:
        """Drop what the bridge has not done of it."""
        if self.job is not None:
            await self._client.steer(self.job, "cancel")

    async def _hear(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "hello":  # another one: events were lost
            await self._read_afresh()
        elif kind == "queue" or event.get("job") == self.job:
            self._heard(event)
            if kind == "item":
                self._settle(ItemState.model_validate(event["state"]))
            elif kind == "job":
                self.cancelled |= event["state"]["state"] == JobStatus.cancelled
                if event.get("items_changed") and event["state"]["counts"]["cancelled"]:
                    await self._read_afresh(state=ItemStatus.cancelled)

    async def _read_afresh(self, **filters: str) -> None:
        if self.job is not None:
            async for item in self._client.items(self.job, **filters):
                self._settle(item)

    def _settle(self, item: ItemState) -> None:
        noted = self._note(item)
        if noted is not None and noted.state in SETTLED:
            self._read.append(noted)

    def _note(self, item: ItemState) -> ItemState | None:
        """Keep the last word on a picture, under the picture's own `ref`; None for an older one."""
        ref, times = _times(item.ref)
        if times < self._sent.get(ref, 0):  # it was sent again since
            return None
        self._sent[ref] = times
        self.known[ref] = item.model_copy(update={"ref": ref})
        return self.known[ref]


@contextmanager
def alone(places: Places, key: str) -> Iterator[None]:
    """Keep a command from running twice at once: both would bring the same results home.

    Raises:
        CommandRunning: it runs already.
    """
    folder = places.data / "running"
    private_folder(folder)
    lock = folder / f"{key[-16:]}.lock"
    with ExitStack() as stack:
        try:
            stack.enter_context(held(lock, seconds=0))
        except Timeout:
            raise CommandRunning("Another terminal gave this command for the same pictures.") from None
        try:
            yield
        finally:
            with suppress(OSError):  # Windows refuses while it is held, and then it stays
                lock.unlink()


def is_picture(path: Path) -> bool:
    """Whether a file of a folder is meant: a picture, not hidden, and not one of our own results."""
    return (
        path.suffix.lower() in PICTURES
        and not path.name.startswith((".", "~"))
        and not is_result(path)
        and path.is_file()
    )


def is_result(path: Path) -> bool:
    """Whether a file has the name of a result of ours."""
    return OWN_RESULT.search(path.stem) is not None


def targets(source: Path, folder: Path, media_type: str) -> Iterator[Path]:
    """Names for a result in a folder, the best first: `stem-GPEN`, then with numbers from 2 on."""
    return numbered(folder / f"{result_stem(source)}{suffix_for(source.name, media_type)}")


def result_stem(source: Path) -> str:
    """`stem-GPEN`; of a stem that leaves no room for more, its beginning."""
    return fitted(f"{{stem}}{MARK}", {"stem": source.stem})


def numbered(first: Path) -> Iterator[Path]:
    """`a.tif`, `a-2.tif`, `a-3.tif`, without end."""
    yield first
    for number in itertools.count(2):
        yield first.with_name(f"{first.stem}-{number}{first.suffix}")


def delivered(names: Iterator[Path], result: ItemResult) -> Path | None:
    """Where exactly this result lies already, among the names that are taken.

    Raises:
        DiskFull, OutputError: the folder does not tell which those are.
    """
    for target in names:
        try:
            size = target.stat().st_size
        except FileNotFoundError:
            return None
        except OSError as error:  # no other name would fare better, and names have no end
            raise named(error, target.parent) from error
        with suppress(OSError):  # somebody else's, and not ours to read
            if size == result.size and read_back(target).sha256 == result.sha256:
                return target
    raise AssertionError("names have no end")


def _times(ref: str) -> tuple[str, int]:
    """A picture's own name, and how often it was sent under it."""
    name, mark, tail = ref.rpartition("~")
    return (name, int(tail) + 1) if mark and tail.isdecimal() else (ref, 1)


def error_of(item: ItemState) -> BridgeError:
    """Why an item has no result."""
    if item.error is None:
        return Cancelled("It was cancelled.")
    return codes().get(item.error.code, BridgeError)(item.error.detail, hint=item.error.hint)
