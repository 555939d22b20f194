"""The workers: lease an item, enhance it, publish it, record it.

Each worker is a thread that carries one photo through all its stages, so that reading, finding faces,
blending and writing of neighbouring photos overlap with the network. One more worker takes interactive
items only: they never wait until a batch's photo is through. What the bridge owes, the store knows; a
worker that dies at any line loses nothing.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast

from bridge.errors import (
    BridgeError,
    Cancelled,
    DeviceOutOfMemory,
    DiskFull,
    DiskLow,
    StoreUnavailable,
    WorkersUnreachable,
    is_out_of_memory,
)
from bridge.jobs.budget import Budget
from bridge.jobs.job import Lease
from bridge.jobs.journal import Journal
from bridge.jobs.leases import Promise
from bridge.jobs.outputs import Outputs, Step
from bridge.jobs.pace import Pace
from bridge.jobs.pulse import Pulse
from bridge.jobs.queue import Queue
from bridge.jobs.sources import Sources
from bridge.metrics import Stages
from bridge.pipeline import Tools
from bridge.protocol.jobs import ItemStage
from bridge.protocol.service import Reason
from bridge.reply import Work, reply_to

MOST_WORKERS = 6
LOOK_SECONDS = 1.0
"""How often a worker without work looks again, if nobody wakes it."""
STORE_PAUSE = 1.0
"""Pause before a result that could not be recorded is recorded again."""
DISK_PAUSE = 10.0
"""Pause after a full disk: the watermark could not tell (a quota, or a disk that others fill)."""


class Logger(Protocol):
    """What the runner needs of the log."""

    def warning(self, event: str, **facts: Any) -> Any:
        """Something that heals."""

    def error(self, event: str, **facts: Any) -> Any:
        """Something that a person should look at."""


@dataclass(frozen=True)
class Limits:
    """Bounds of the work.

    Attributes:
        workers: photos of batches at once; 0: two more than half of the cores, at most 6.
        megapixels: pixels in memory together.
        min_free_bytes: less free space than this pauses the work.
    """

    workers: int = 0
    megapixels: float = 300
    min_free_bytes: int = 0

    @property
    def threads(self) -> int:
        """Workers for batches."""
        return self.workers or min(MOST_WORKERS, (os.cpu_count() or 1) // 2 + 2)


@dataclass(frozen=True)
class Crew:
    """What the runner works with.

    Attributes:
        tools: raises BridgeError while pictures cannot be taken.
        observe: told seconds by stage, restored faces and outcome of every settled item.
        settled: called after every settled item, for the audit.
        check: looks for damage of the store, before anything is leased.
    """

    queue: Queue
    journal: Journal
    outputs: Outputs
    sources: Sources
    pace: Pace
    tools: Callable[[], Tools]
    log: Logger
    observe: Callable[[dict[str, float], int, str], None]
    settled: Callable[[], None]
    check: Callable[[], None] = lambda: None
    steps: Step = lambda _: None


class Runner:
    """Threads that empty the queue, from `start` to `close`."""

    def __init__(self, crew: Crew, limits: Limits) -> None:
        self._crew = crew
        self._limits = limits
        # Two, so that a batch that fills the memory does not make interactive work wait.
        self._budgets = {urgent: Budget(limits.megapixels) for urgent in (False, True)}
        self._changed = threading.Condition()
        self._wakes = 0
        self._stopping = False
        self._rests_until = 0.0
        self._resting: BridgeError | None = None
        self._waiting: Reason | None = None
        self._held: dict[str, Pulse] = {}
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin; what dead boots left is settled first, in the workers' own thread."""
        first = threading.Thread(target=self._recover_and_live, name="job-0", daemon=True)
        first.start()
        self._threads.append(first)

    def wake(self) -> None:
        """Something changed: look again."""
        with self._changed:
            self._wakes += 1
            self._changed.notify_all()

    def drop(self, leases: Sequence[str]) -> None:
        """Stop the work on leases that were taken away."""
        for lease_id in leases:
            if (cancelled := self._held.get(lease_id)) is not None:
                cancelled.set()

    @property
    def waiting(self) -> Reason | None:
        """Why nothing is leased; None when it is."""
        return self._waiting

    @property
    def at_work(self) -> int:
        """Items that are worked on."""
        return len(self._held)

    def close(self, seconds: float = 0.0) -> None:
        """Lease nothing more, let what is worked on finish for so long, give back the rest."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        deadline = time.monotonic() + seconds
        # The first one starts the others, so once it has ended the list is whole.
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self.drop(list(self._held))
        for thread in self._threads:
            thread.join()

    # --- callers' threads above, the workers' below -----------------------------------------

    def _recover_and_live(self) -> None:
        while not self._stopping:
            try:
                self._crew.check()
                self._crew.outputs.recover()
                self._crew.settled()
                break
            except Exception as error:  # nothing is leased before it is settled; everybody is told why
                known = _known(error)
                if not isinstance(known, StoreUnavailable | DiskFull):
                    self._crew.log.error("recovery failed", exc_info=error)
                self._wait_because(known)
                self._rest(STORE_PAUSE)
        for number in range(1, self._limits.threads + 1):
            interactive_only = number == self._limits.threads
            thread = threading.Thread(
                target=self._live, args=(interactive_only,), name=f"job-{number}", daemon=True
            )
            thread.start()
            self._threads.append(thread)
        self._live(interactive_only=False)

    def _live(self, interactive_only: bool) -> None:
        while not self._stopping:
            wakes, worked = self._wakes, False
            try:
                if (lease := self._next(interactive_only)) is not None:
                    self._carry(lease)
                    worked = True
            except BridgeError as error:
                self._wait_because(error)
            except Exception as error:  # the thread lives on; the next look may go better
                self._crew.log.error("queue failed", exc_info=error)
            if not worked:
                self._sleep(wakes)

    def _next(self, interactive_only: bool) -> Lease | None:
        """An item to work on.

        Raises:
            BridgeError: nothing may be leased now, and why.
        """
        self._crew.tools()
        if self._resting is not None and self._rests_until > time.monotonic():
            raise type(self._resting)(self._resting.detail)  # a raised one keeps growing its traceback
        free = self._crew.outputs.free_bytes
        if free < self._limits.min_free_bytes:
            floor = self._limits.min_free_bytes / 1e9
            raise DiskLow(f"{free / 1e9:.1f} GB are free; batches wait below {floor:.1f} GB.")
        lost = self._crew.queue.expire({lease: pulse.silence for lease, pulse in list(self._held.items())})
        if lost:
            self._crew.log.warning("work stands still", leases=lost)
            self.drop(lost)
        lease = self._crew.queue.lease(interactive_only=interactive_only)
        self._wait_because(None)
        if lease is None and not self._held:
            self._crew.pace.idle()
        return lease

    def _carry(self, lease: Lease) -> None:
        """One item to its end: done, failed, queued again, or given back."""
        self._crew.steps("leased")
        self._held[lease.lease_id] = cancelled = Pulse()
        stages = WatchedStages(lambda stage: self._enter(lease, stage))
        try:
            promise = self._enhance(lease, stages, cancelled)
        except Cancelled:
            self._persist("give back", lambda: self._crew.queue.release(lease))  # no effect once cancelled
            self._crew.settled()
            self._crew.observe(stages.seconds, 0, Cancelled.code)
        except Exception as error:  # an item's own failure never ends the worker
            self._failed(lease, stages, error)
        else:
            self._persist("record", lambda: self._crew.queue.finish(promise))
            self._crew.steps("recorded")
            self._crew.pace.settled(time.monotonic())
            self._crew.observe(stages.seconds, promise.result.restored, "done")
            self._crew.settled()
        finally:
            del self._held[lease.lease_id]
            self.wake()

    def _enhance(self, lease: Lease, stages: WatchedStages, cancelled: threading.Event) -> Promise:
        crew = self._crew
        room = crew.sources.megapixels(lease.source)
        budget = self._budgets[lease.interactive]
        with budget.take(room, alone=lease.alone, cancelled=cancelled):
            with stages.stage("read"):
                picture = crew.sources.read(lease.source)
            crew.steps("read")
            work = Work(lease.parameters, crew.tools(), lease.interactive, cancelled, stages)
            reply = reply_to(picture, lease.question, work)
            crew.steps("enhanced")
            with stages.stage("publish"):
                return crew.outputs.publish(lease, reply, stages.seconds, lambda: not cancelled.is_set())

    def _failed(self, lease: Lease, stages: WatchedStages, error: Exception) -> None:
        known = _known(error)
        facts = {"job": lease.job, "item": lease.item, "code": known.code, "detail": known.detail}
        if known.code == BridgeError.code:
            self._crew.log.error("item failed", exc_info=error, **facts)
        if isinstance(known, DiskFull | StoreUnavailable | WorkersUnreachable):
            # Not the photo's fault: it keeps its tries, and everybody waits.
            pause = DISK_PAUSE if isinstance(known, DiskFull) else STORE_PAUSE
            self._rests_until = time.monotonic() + pause
            self._resting = type(known)(f"{known.detail} The next look is in {pause:.0f} seconds.")
            self._wait_because(self._resting)
            self._persist("give back", lambda: self._crew.queue.release(lease))
            return
        pause = self._persist("fail", lambda: self._crew.queue.fail(lease, known, stages.seconds))
        self._crew.observe(stages.seconds, 0, known.code)
        if pause is None:
            self._crew.pace.settled(time.monotonic())
            self._crew.settled()
        else:
            self._crew.log.warning("item is tried again", seconds=pause, **facts)

    def _enter(self, lease: Lease, stage: str) -> None:
        try:
            self._crew.queue.enter(lease, cast(ItemStage, stage))
        except (StoreUnavailable, DiskFull) as error:
            # Only what people see is late; the work itself goes on.
            self._crew.log.warning("stage not recorded", job=lease.job, item=lease.item, code=error.code)

    def _persist(self, what: str, change: Callable[[], Any]) -> Any:
        """Record what happened, however long the store takes; at a stop, recovery does it instead."""
        while True:
            try:
                return change()
            except (StoreUnavailable, DiskFull) as error:
                self._wait_because(error)
                self._crew.log.warning("store not available", what=what, detail=error.detail)
                if self._stopping:
                    return None
                self._rest(STORE_PAUSE)

    def _wait_because(self, error: BridgeError | None) -> None:
        """Tell everybody why nothing is worked on, when that changed."""
        reason = None if error is None else Reason(code=error.code, detail=error.detail)
        with self._changed:
            before, self._waiting = self._waiting, reason
        if (before and before.code) != (reason and reason.code):
            try:
                self._crew.journal.queue_changed(reason)
            except (StoreUnavailable, DiskFull):
                return  # `waiting` tells it; there is nowhere to write it

    def _sleep(self, wakes: int) -> None:
        with self._changed:
            if self._wakes == wakes and not self._stopping:
                self._changed.wait(LOOK_SECONDS)

    def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._stopping and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)


class WatchedStages(Stages):
    """Stages that tell somebody when each begins."""

    def __init__(self, entered: Callable[[str], None]) -> None:
        super().__init__()
        self._entered = entered

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Tell, then add the time spent inside to `name`."""
        self._entered(name)
        with super().stage(name):
            yield


def _known(error: Exception) -> BridgeError:
    if isinstance(error, BridgeError):
        return error
    if is_out_of_memory(error):
        return DeviceOutOfMemory("The computer has too little free memory for this photo.")
    return BridgeError(f"{type(error).__name__}: {error}")
