"""Engine: the resident networks, and the one thread that touches the device.

Owns who may compute when; the order of work is `batcher.py`'s, the arithmetic `runner.py`'s. Knows
no images, no files and no manifest: a checkpoint is a name that `open` turns into a network.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import numpy as np

from bridge.engine.batcher import Batch, Batcher
from bridge.engine.device import Device, choose, is_out_of_memory
from bridge.engine.errand import Errand
from bridge.engine.idleness import Due, Idleness
from bridge.engine.runner import Crops, OpenedNetwork, Runner
from bridge.engine.self_test import self_test
from bridge.errors import (
    BridgeError,
    Cancelled,
    DeviceOutOfMemory,
    EngineError,
    InvalidRequest,
    SelfTestFailed,
)

WINDOW = 0.010
"""Seconds that a pass on a GPU waits for company."""
CANCEL_POLL = 0.02
"""Seconds between two looks at a caller's `cancelled` event."""
IDLE = 1.0
"""Seconds without work after which unused memory goes back to the system: little beside a pass, so that
passes in a row keep their buffers, and soon enough for the rest of the same picture, which needs room too."""
RESIDENT_SHARE = 0.5
"""Part of the device's memory that resident networks may fill; passes need the rest."""
RESIDENT_UNKNOWN = 4 * 1024**3
"""The same in bytes, where the device does not tell its size."""

_Chore = tuple[Callable[[], None], Future[None]]


class Engine:
    """Restores crops with resident networks.

    `restore` and `warm_up` block and may be called from any number of threads; one thread of the
    engine's own computes. It survives every failure of a network or a device.

    Args:
        open: opens a checkpoint by name, verified and in main memory; raises CheckpointError.
        device: where passes run.
        reference: opens a checkpoint as torch runs it, for the self-test off the CPU; None: `open` does.
        resident_bytes: what networks together may occupy; the least recently used ones make
            room. None: half of the device's memory. One network is always admitted.
        window: seconds that a pass which is not full waits for company; None: 10 ms on a GPU,
            0 on a CPU.
        unload_after: seconds without work after which the networks are let go of; the next call opens
            what it needs again. None: never.
        clock: seconds from any beginning.
    """

    def __init__(
        self,
        open: Callable[[str], OpenedNetwork],  # noqa: A002 the verb of the house; files are not opened here
        device: Device,
        *,
        reference: Callable[[str], OpenedNetwork] | None = None,
        resident_bytes: int | None = None,
        window: float | None = None,
        unload_after: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = device
        self._open = open
        self._reference = reference or open
        self._resident_bytes = resident_bytes
        self._unload_after = unload_after
        self._clock = clock
        self._runners: OrderedDict[str, Runner] = OrderedDict()
        self._changed = threading.Condition()
        self._batcher: Batcher[Errand] = Batcher(
            window if window is not None else 0.0 if device.is_cpu else WINDOW
        )
        self._chores: deque[_Chore] = deque()
        self._closing = False
        # A daemon, so that a program that dies with an exception is not kept alive by us.
        self._thread = threading.Thread(target=self._live, name="engine", daemon=True)
        self._thread.start()

    def restore(
        self,
        checkpoint: str,
        crops: Crops,
        *,
        urgent: bool = True,
        cancelled: threading.Event | None = None,
    ) -> Crops:
        """Run a network over some crops, in as many passes as they need.

        On a CPU each crop has a pass of its own, so its result depends on nothing else.

        Args:
            checkpoint: name of an installed checkpoint.
            crops: N x S x S x 3 float32 in [0, 1], RGB, sRGB-encoded, S the network's side. Not
                modified; must not be modified by others before this returns.
            urgent: somebody waits for it; batch work comes after.
            cancelled: looked at between passes and while waiting in line.

        Returns:
            A new array of the same shape, unclipped.

        Raises:
            InvalidRequest: the array has another layout or side, or values that are not finite.
            Cancelled: `cancelled` was set; a pass that runs is left to end, its result is dropped.
            CheckpointError: the checkpoint cannot be opened.
            DeviceOutOfMemory: not even one crop fits.
            EngineError: the pass failed (networks are loaded afresh by the next call), or the
                engine is closing.
        """
        check_crops(crops)
        if cancelled and cancelled.is_set():
            raise Cancelled
        if len(crops) == 0:
            return crops.copy()
        errand = Errand(checkpoint, len(crops), urgent, self._clock(), crops, cancelled)
        with self._changed:
            self._refuse_when_closing()
            self._batcher.add(errand)
            self._changed.notify_all()
        try:
            # Without a timeout, Windows would not let Ctrl+C interrupt the wait.
            while not errand.settled.wait(CANCEL_POLL):
                if cancelled and cancelled.is_set():
                    raise Cancelled
        finally:  # also when the waiting thread is interrupted
            with self._changed:
                self._batcher.remove(errand)
        if errand.failure is not None:
            raise errand.failure
        return errand.restored

    def warm_up(self, checkpoint: str) -> None:
        """Load a network and show that it computes here what it should (see `self_test.py`).

        Raises:
            SelfTestFailed: it does not.
            CheckpointError, DeviceOutOfMemory, EngineError: as `restore`.
        """
        chore: Future[None] = Future()
        with self._changed:
            self._refuse_when_closing()
            self._chores.append((lambda: self._self_test(checkpoint), chore))
            self._changed.notify_all()
        chore.result()

    def resident(self) -> list[str]:
        """Names of the loaded networks, the least recently used first."""
        with self._changed:
            return list(self._runners)

    def close(self, *, drain: bool = True) -> None:
        """Refuse new work, end the thread and drop the networks; may be called twice.

        Args:
            drain: finish what is queued first; otherwise it fails with EngineError.
        """
        with self._changed:
            self._closing = True
            if not drain:
                for errand in self._batcher.clear():
                    errand.fail(_closing())
                while self._chores:
                    self._chores.popleft()[1].set_exception(_closing())
            self._changed.notify_all()
        self._thread.join()

    def _refuse_when_closing(self) -> None:
        if self._closing:
            raise _closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(drain=error is None)

    # --- callers' threads above, the engine's thread below ---------------------------------

    def _live(self) -> None:
        while (work := self._await_work()) is not None:
            if isinstance(work, Batch):
                self._pass(work)
            else:
                self._do(*work)
            del work  # else its crops would be kept until there is other work
        self._drop(self.resident())

    def _await_work(self) -> Batch[Errand] | _Chore | None:
        """The next thing to do; None when the engine closes and nothing is left."""
        idleness = Idleness(self._clock(), tidy_after=IDLE, unload_after=self._unload_after)
        with self._changed:
            while True:
                if self._chores:
                    return self._chores.popleft()
                now = self._clock()
                step = self._batcher.next(now)
                if isinstance(step, Batch):
                    if idleness.tidied:
                        self._give_back_memory()  # what others freed since, in pieces too small for a pass
                    return step
                if step is None and self._closing:
                    return None
                wait = idleness.next(now) if step is None else step
                if isinstance(wait, Due):
                    self._drop(list(self._runners) if wait is Due.unload else [])
                else:
                    self._changed.wait(wait)

    def _do(self, work: Callable[[], None], outcome: Future[None]) -> None:
        try:
            work()
        except Exception as error:  # handed to whoever waits for the outcome
            outcome.set_exception(self._named(error))
        else:
            outcome.set_result(None)

    def _pass(self, batch: Batch[Errand]) -> None:
        """One batch to its end: delivered, queued again for want of memory, or failed."""
        wanted = _still_wanted(batch)
        if wanted is None:
            return
        try:
            self._deliver(wanted)
        except Exception as error:  # handed to whoever waits; the thread lives on
            failure = self._named(error)
            traceback.clear_frames(error.__traceback__)  # they hold the buffers of the pass
        else:
            return
        if not (isinstance(failure, DeviceOutOfMemory) and self._made_room(wanted)):
            for errand in wanted.requests:
                errand.fail(failure)

    def _deliver(self, batch: Batch[Errand]) -> None:
        runner = self._load(batch.checkpoint)
        for errand in batch.requests:
            if errand.side != runner.side:
                what = f"{batch.checkpoint} takes crops of {runner.side} pixels, not {errand.side}."
                errand.fail(InvalidRequest(what))
        fitting = _still_wanted(batch)
        if fitting is None:
            return
        restored = runner.run(np.stack([errand.crops[index] for errand, index in fitting.seats]))
        with self._changed:
            self._batcher.went_well(fitting)
        for (errand, index), crop in zip(fitting.seats, restored, strict=True):
            if np.isfinite(crop).all():
                errand.accept(index, crop)
            else:
                errand.fail(EngineError(f"{batch.checkpoint} gave values that are not numbers for a face."))

    def _made_room(self, batch: Batch[Errand]) -> bool:
        """After a pass ran out of memory: queue it again, if less company may help."""
        with self._changed:
            others = [name for name in self._runners if name != batch.checkpoint]
            if not self._batcher.halve(batch):
                if not others:
                    return False
                self._drop(others)
            self._batcher.put_back(batch)
        self._give_back_memory()
        return True

    def _load(self, checkpoint: str) -> Runner:
        """The network's runner; the least recently used ones leave when the memory is short."""
        with self._changed:
            if checkpoint in self._runners:
                self._runners.move_to_end(checkpoint)
                return self._runners[checkpoint]
        self.device.settle_in()
        network = self._open(checkpoint)
        budget = self._resident_bytes if self._resident_bytes is not None else _share_of(self.device)
        occupied = {name: runner.bytes for name, runner in self._runners.items()}
        while occupied and sum(occupied.values()) + network.bytes > budget:
            oldest = next(iter(occupied))
            del occupied[oldest]
            self._drop([oldest])
        try:
            runner, crop_bytes = self._settled(network)
        except Exception as error:
            if not (is_out_of_memory(error) and occupied):
                raise
            self._drop(list(occupied))
            runner, crop_bytes = self._settled(network)
        self._give_back_memory()  # opening held the weights in several forms at once
        with self._changed:
            self._runners[checkpoint] = runner
            self._batcher.set_limit(checkpoint, self.device.batch_limit(runner.side, crop_bytes))
        return runner

    def _settled(self, network: OpenedNetwork) -> tuple[Runner, int | None]:
        """The network on the device, and what a crop takes there."""
        runner = Runner(network, self.device)
        return runner, runner.crop_bytes()

    def _drop(self, checkpoints: list[str]) -> None:
        with self._changed:
            for name in checkpoints:
                self._runners.pop(name, None)
        self._give_back_memory()

    def _give_back_memory(self) -> None:
        with contextlib.suppress(RuntimeError):  # a lost device: the next pass tells it to its caller
            self.device.give_back_memory()

    def _named(self, error: Exception) -> BridgeError:
        """A failure by its name; one that torch or the driver raised also drops every network."""
        if isinstance(error, BridgeError):
            return error
        reason = str(error).partition("\n")[0] or type(error).__name__
        if is_out_of_memory(error):
            return DeviceOutOfMemory(f"{self.device.title} has too little free memory: {reason}.")
        self._drop(self.resident())
        named = EngineError(f"The pass failed on {self.device.title}: {reason}.")
        named.__cause__ = error
        return named

    def _self_test(self, checkpoint: str) -> None:
        runner = self._load(checkpoint)
        reference = None if self.device.is_cpu else Runner(self._reference(checkpoint), choose("cpu"))
        try:
            self_test(runner, reference)
        except SelfTestFailed as error:
            self._drop([checkpoint])
            raise SelfTestFailed(f"{checkpoint} on {self.device.title}: {error.detail}") from error


def _still_wanted(batch: Batch[Errand]) -> Batch[Errand] | None:
    seats = tuple(seat for seat in batch.seats if seat[0].is_wanted)
    return Batch(seats) if seats else None


def _closing() -> EngineError:
    return EngineError("The engine is closing.", hint="Start the bridge again.")


def check_crops(crops: Crops) -> None:
    """Raise InvalidRequest unless these are N x S x S x 3 float32 and finite."""
    if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
        raise InvalidRequest(f"Crops are N x S x S x 3, not {crops.shape}.")
    if crops.dtype != np.float32:
        raise InvalidRequest(f"Crops are float32, not {crops.dtype}.")
    if not np.isfinite(crops).all():
        raise InvalidRequest("A crop holds values that are not numbers.")


def _share_of(device: Device) -> int:
    total = device.memory.total
    return RESIDENT_UNKNOWN if total is None else int(total * RESIDENT_SHARE)
