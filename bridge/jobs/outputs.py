"""The output folder: publishes results under their final names, exactly once each.

A result is written aside, promised in the store, given its name, and recorded as done, in that order.
Whatever step the bridge dies at, `recover` brings the item to a state in which the file is there
once or not at all. Nothing outside the folder is ever touched.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from bridge.errors import BridgeError, Cancelled, OutputError, OutputExists
from bridge.imaging.codecs import inspect
from bridge.jobs import spool
from bridge.jobs.job import Lease
from bridge.jobs.leases import Promise
from bridge.jobs.names import check_stored_name, numbered, result_name
from bridge.jobs.queue import Queue
from bridge.jobs.spool import Written, part_of
from bridge.jobs.store import of_rows
from bridge.protocol import frame
from bridge.protocol.jobs import ItemResult
from bridge.reply import Reply

Step = Callable[[str], None]
"""Told each step as it is reached; the torture benchmark kills the process there."""


class Outputs:
    """The managed output folder.

    Args:
        owns: whether a name is that of an available result with this SHA-256, for `replace_own`.
        steps: told each step of publishing.
    """

    def __init__(
        self, root: Path, queue: Queue, owns: Callable[[str, str], bool], steps: Step = lambda _: None
    ) -> None:
        self.root = root
        self._queue = queue
        self._owns = owns
        self._steps = steps
        self._naming = threading.Lock()

    @property
    def free_bytes(self) -> int:
        """Free space on the folder's disk.

        Raises:
            OutputError: the disk does not answer.
        """
        return spool.free_bytes(self.root)

    def publish(
        self, lease: Lease, reply: Reply, seconds: Mapping[str, float], wanted: Callable[[], bool]
    ) -> Promise:
        """Write a reply to its place, and promise it in the store before it appears there.

        Args:
            wanted: false when the item was cancelled meanwhile.

        Returns:
            The promise that was kept; the caller records it as done.

        Raises:
            Cancelled: the lease is gone; nothing was published.
            OutputExists: by `on_clash` "fail".
            DiskFull, OutputError, StoreUnavailable: nothing was published.
        """
        name = result_name(lease, reply.media_type)
        part = part_of(self.root / name.parent, lease.lease_id)

        def check(_: int) -> None:
            if not wanted():
                raise Cancelled

        written = spool.write_aside(part, reply.parts, check)
        try:
            self._verify(part, reply)
            self._steps("written")
            with self._naming:
                return self._appear(lease, reply, seconds, name, part, written)
        except BaseException:
            spool.discard(part)
            raise

    def recover(self) -> None:
        """Settle what dead boots left: keep their promises, sweep up their parts, free their leases.

        Raises:
            StoreUnavailable, DiskFull: to be called again.
        """
        self._queue.set_aside_damaged()
        promised = {promise.lease_id: promise for promise in self._queue.promises()}
        for lease in self._queue.dead_leases():
            promise = promised.get(lease.lease_id)
            if promise is not None and self._kept(promise):
                self._queue.finish(promise)
            else:
                self._queue.bury(lease)
        with suppress(OSError):  # a folder that vanishes meanwhile, or a drive, has no parts to sweep
            for part in self.root.rglob(f".gpen-*{spool.PART}"):
                spool.discard(part)  # no lease of this boot has begun: all are dead
        self._queue.forget_clocks()

    @of_rows
    def path_of(self, name: str) -> Path:
        """Where a result lies.

        Raises:
            StoreUnavailable: the stored name is damaged, and may lead anywhere.
        """
        check_stored_name(name)
        return self.root / PurePosixPath(name)

    def _verify(self, part: Path, reply: Reply) -> None:
        """What was written is what it should be: its header reads back with the right size."""
        if reply.media_type == frame.MEDIA_TYPE:
            return
        try:
            header = inspect(part.read_bytes())
        except (OSError, BridgeError) as error:
            raise OutputError(f"{part.parent}: the finished file cannot be read back: {error}.") from error
        if (header.width, header.height) != (reply.result.width, reply.result.height):
            raise OutputError(f"{part.parent}: the finished file has another size than the picture.")

    def _appear(
        self,
        lease: Lease,
        reply: Reply,
        seconds: Mapping[str, float],
        wanted: PurePosixPath,
        part: Path,
        written: Written,
    ) -> Promise:
        number = self._first_free(wanted) if lease.output.on_clash == "number" else 1
        while True:
            name = numbered(wanted, number)
            target = self.root / name
            exists = _is_taken(target)
            own = exists and lease.output.on_clash == "replace_own" and self._is_own(name)
            if exists and lease.output.on_clash == "fail":
                raise OutputExists(f"{name} exists.")
            if not exists or own:
                promise = _promise(lease, reply, seconds, name, target, written)
                promise = replace(promise, replaces=own)
                if not self._queue.promise(promise):
                    raise Cancelled
                self._steps("promised")
                if spool.appear(part, target, replace=own):
                    self._steps("published")
                    return promise
            number += 1

    def _first_free(self, wanted: PurePosixPath) -> int:
        """A number that makes a name free, in few looks however many photos are called alike.

        The lowest one, unless there are gaps.
        """

        def free(number: int) -> bool:
            return not _is_taken(self.root / numbered(wanted, number))

        above = 1
        while not free(above):
            above *= 2
        tried = range(above // 2 + 1, above)
        return tried.start + bisect_left(tried, True, key=free)

    def _is_own(self, name: PurePosixPath) -> bool:
        try:
            return self._owns(str(name), spool.read_back(self.root / name).sha256)
        except OSError:
            return False

    def _kept(self, promise: Promise) -> bool:
        """Whether a promised file is there; it is put there if only the last rename is missing."""
        target = self.path_of(promise.result.name)
        part = part_of(target.parent, promise.lease_id)
        expected = Written(promise.result.size, promise.result.sha256)
        if _is(part, expected) and not _is(target, expected):
            try:
                spool.appear(part, target, replace=promise.replaces)
            except BridgeError:
                return False
        return _is(target, expected)


def _is_taken(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _is(path: Path, expected: Written) -> bool:
    try:
        return path.stat().st_size == expected.size and spool.read_back(path) == expected
    except OSError:
        return False


def _promise(
    lease: Lease,
    reply: Reply,
    seconds: Mapping[str, float],
    name: PurePosixPath,
    target: Path,
    written: Written,
) -> Promise:
    result = ItemResult(
        name=str(name),
        path=str(target),
        media_type=reply.media_type,
        size=written.size,
        sha256=written.sha256,
        width=reply.result.width,
        height=reply.result.height,
        found=len(reply.result.faces),
        restored=sum(face.checkpoint is not None for face in reply.result.faces),
        warnings=reply.result.warnings,
    )
    return Promise(lease.job, lease.item, lease.lease_id, result, reply.result.faces, dict(seconds))
