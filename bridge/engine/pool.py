"""Pool: one more engine, whose passes run on workers elsewhere.

Owns who goes next (the desktop's `Batcher`), how many calls a worker may hold, and what becomes of a
call whose worker is lost: the crop goes back to the head of the line. Knows no Ray (`Cluster` is
whatever carries calls), so that every rule is tested without a cluster. See decision 0011.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from bridge.engine.batcher import Batch, Batcher
from bridge.engine.engine import CANCEL_POLL, check_crops
from bridge.engine.errand import Errand
from bridge.engine.runner import Crops
from bridge.engine.workers import Call, Cluster, Done, Lost, Refused, Report, Seen, WorkerState
from bridge.errors import (
    BridgeError,
    Cancelled,
    EngineError,
    SelfTestFailed,
    WorkersUnreachable,
    WorkerUnknown,
    codes,
)

IN_FLIGHT = 3
"""Calls that one worker holds: one computes, one waits there so that the device never does, one is on the
wire. More would only fill Ray's object store, which then spills to disk without a word."""
PATIENCE = 60.0
"""Seconds without any worker after which whoever waits is told so."""
LOSSES = 5
"""Times that a crop may be lost together with its worker; then the crop is what kills them."""
FIRST_LOOK = 30.0
"""Seconds that a start waits for the first worker."""


@dataclass(eq=False)
class _Flight:
    batch: Batch[Errand]
    worker: str

    @property
    def seat(self) -> tuple[Errand, int]:
        return self.batch.seats[0]


class Pool:
    """Restores crops with workers elsewhere; the same verbs as `Engine`, for any number of threads.

    Args:
        cluster: carries calls; taken over.
        in_flight: calls that one worker holds at most.
        patience: seconds without any worker after which `restore` gives up.
    """

    def __init__(self, cluster: Cluster, *, in_flight: int = IN_FLIGHT, patience: float = PATIENCE) -> None:
        self._cluster = cluster
        self._in_flight = in_flight
        self._patience = patience
        self._batcher: Batcher[Errand] = Batcher(0.0)
        self._changed = threading.Condition()
        self._flights: dict[int, _Flight] = {}
        self._numbers = itertools.count()
        self._losses: Counter[tuple[Errand, int]] = Counter()
        self._workers: dict[str, WorkerState] = {}
        self._problem = "No worker has answered yet."
        self._without_since = time.monotonic()
        self._closing = False
        cluster.start(self._hear)

    def restore(
        self,
        checkpoint: str,
        crops: Crops,
        *,
        urgent: bool = True,
        cancelled: threading.Event | None = None,
    ) -> Crops:
        """Run a network over some crops, each on whichever worker is free; see `Engine.restore`.

        Raises:
            InvalidRequest, Cancelled, CheckpointError, DeviceOutOfMemory, EngineError: as there.
            WorkersUnreachable: no worker was there for a minute; nothing is wrong with the crops.
        """
        check_crops(crops)
        if cancelled and cancelled.is_set():
            raise Cancelled
        if len(crops) == 0:
            return crops.copy()
        errand = Errand(checkpoint, len(crops), urgent, time.monotonic(), crops, cancelled)
        with self._changed:
            self._refuse_when_closing()
            self._batcher.add(errand)
            self._dispatch()
        try:
            while not errand.settled.wait(CANCEL_POLL):
                if cancelled and cancelled.is_set():
                    raise Cancelled
                self._give_up_when_alone()
        finally:  # also when the waiting thread is interrupted
            with self._changed:
                self._drop(errand)
                self._dispatch()
        if errand.failure is not None:
            raise errand.failure
        return errand.restored

    def warm_up(self, checkpoint: str) -> None:
        """Wait a little for a first worker; each shows by itself that it computes what it should.

        None at all is no reason to fail a start: `problem` tells it until one comes.

        Raises:
            SelfTestFailed: there are workers, and each has told that it computes wrong.
        """
        deadline = time.monotonic() + FIRST_LOOK
        with self._changed:
            while not self._closing and not self._healthy() and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            problems = [state.problem for state in self._workers.values()]
        if problems and all(SelfTestFailed.title in problem for problem in problems):
            raise SelfTestFailed(f"{checkpoint}: {problems[0]}")

    def resident(self) -> list[str]:
        """Names of the networks that some worker has loaded."""
        return sorted(self.engines())

    def engines(self) -> dict[str, str]:
        """What runs each of them; nodes may differ, then any one is named."""
        with self._changed:
            return {
                name: engine for state in self._workers.values() for name, engine in state.checkpoints.items()
            }

    @property
    def problem(self) -> BridgeError | None:
        """Why no crop can be restored now; None when one can."""
        with self._changed:
            return None if self._healthy() else WorkersUnreachable(self._why())

    @property
    def workers(self) -> tuple[WorkerState, ...]:
        """Every worker, as it was last seen."""
        with self._changed:
            return tuple(self._workers.values())

    @property
    def at_work(self) -> dict[str, int]:
        """Calls under way, by worker."""
        with self._changed:
            return dict(Counter(flight.worker for flight in self._flights.values()))

    @property
    def waiting(self) -> int:
        """Requests with crops that no worker has yet."""
        with self._changed:
            return len(self._batcher)

    def drain(self, node: str, *, draining: bool = True) -> None:
        """Give a node nothing new, or give it work again; what it works on is finished.

        Args:
            node: its id, or its machine's name.

        Raises:
            WorkerUnknown: there is no such node.
        """
        with self._changed:
            found = {state.node for state in self._workers.values() if node in (state.node, state.host)}
        if not found:
            raise WorkerUnknown(f"No worker runs on {node}.")
        for one in found:
            self._cluster.drain(one, draining)

    def close(self, *, drain: bool = True) -> None:
        """Refuse new work and let the cluster go; may be called twice.

        Args:
            drain: finish what is queued first; otherwise it fails with EngineError.
        """
        with self._changed:
            self._closing = True
            while drain and (self._flights or len(self._batcher)) and self._healthy():
                self._changed.wait(CANCEL_POLL)
            pending = {flight.seat[0] for flight in self._flights.values()} | set(self._batcher.clear())
            for errand in pending:
                errand.fail(_closing())
            self._flights.clear()
        self._cluster.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(drain=error is None)

    # --- callers' threads above, the cluster's below; all under the lock ---------------------

    def _hear(self, report: Report) -> None:
        with self._changed:
            if isinstance(report, Seen):
                self._see(report)
            elif (flight := self._flights.pop(report.call, None)) is not None:
                self._land(flight, report)
            self._dispatch()
            self._changed.notify_all()

    def _see(self, seen: Seen) -> None:
        had = self._healthy()
        self._workers = {state.worker: state for state in seen.workers}
        self._problem = seen.problem
        if had and not self._healthy():
            self._without_since = time.monotonic()
        # Whoever is silent may answer yet, but nobody waits for that.
        silent = [
            number
            for number, flight in self._flights.items()
            if flight.worker not in self._workers or not self._workers[flight.worker].healthy
        ]
        for number in silent:
            self._cluster.cancel(number)
            self._put_back(self._flights.pop(number))

    def _land(self, flight: _Flight, report: Done | Refused | Lost) -> None:
        errand, index = flight.seat
        if isinstance(report, Lost):
            self._losses[flight.seat] += 1
            if self._losses[flight.seat] >= LOSSES:
                errand.fail(EngineError(f"{LOSSES} workers were lost while they worked on one face."))
            else:
                self._put_back(flight)
        elif isinstance(report, Refused):
            errand.fail(codes().get(report.code, EngineError)(report.detail))
        elif report.crop.shape != errand.crops[index : index + 1].shape or not np.isfinite(report.crop).all():
            errand.fail(EngineError(f"{errand.checkpoint} gave values that are not numbers for a face."))
        elif errand.is_wanted:
            errand.accept(index, report.crop[0])

    def _put_back(self, flight: _Flight) -> None:
        if flight.seat[0].is_wanted:
            self._batcher.put_back(flight.batch)

    def _dispatch(self) -> None:
        """Give work to whoever is free, the least busy first."""
        busy = Counter(flight.worker for flight in self._flights.values())
        while free := [
            worker
            for worker, state in self._workers.items()
            if state.healthy and not state.draining and busy[worker] < self._in_flight
        ]:
            batch = self._batcher.next(time.monotonic())
            if not isinstance(batch, Batch):
                return
            errand, index = batch.seats[0]
            if not errand.is_wanted:
                continue
            worker, number = min(free, key=lambda one: busy[one]), next(self._numbers)
            busy[worker] += 1
            self._flights[number] = _Flight(batch, worker)
            crop = errand.crops[index : index + 1]
            self._cluster.submit(Call(number, worker, errand.checkpoint, crop, errand.urgent))

    def _drop(self, errand: Errand) -> None:
        self._batcher.remove(errand)
        for number in [number for number, flight in self._flights.items() if flight.seat[0] is errand]:
            self._cluster.cancel(number)
            del self._flights[number]
        for index in range(errand.count):
            self._losses.pop((errand, index), None)

    def _give_up_when_alone(self) -> None:
        with self._changed:
            alone = time.monotonic() - self._without_since
            if not self._healthy() and alone > self._patience:
                raise WorkersUnreachable(self._why())

    def _healthy(self) -> bool:
        return any(state.healthy for state in self._workers.values())

    def _why(self) -> str:
        if self._problem:
            return self._problem
        problems = sorted({f"{state.host}: {state.problem}" for state in self._workers.values()})
        return " ".join(problems) or "The cluster has no node that works for the bridge."

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise _closing()


def _closing() -> EngineError:
    return EngineError("The bridge is closing.", hint="Start the bridge again.")
