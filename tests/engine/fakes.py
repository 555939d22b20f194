"""Networks and devices that misbehave on purpose, and ways to be there when they do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import torch

from bridge.engine.device import Device, Memory
from bridge.engine.runner import Crops

CPU = Device("cpu", "a test's processor", threads=1)


@dataclass(frozen=True)
class RoomyGpu(Device):
    """Computes on the CPU but is treated as a GPU: passes of up to `MOST`."""

    MOST = 8

    @property
    def is_cpu(self) -> bool:
        return False

    @property
    def memory(self) -> Memory:
        return Memory(total=8 * 1024**3, free=6 * 1024**3)

    def batch_limit(self, side: int, crop_bytes: int | None = None) -> int:
        return self.MOST


@dataclass(frozen=True)
class CountingGpu(RoomyGpu):
    """Tells how much memory some work took: `TAKES`; holds as many crops as that leaves room for."""

    TAKES = 2 * 1024**3

    @property
    def counts_memory(self) -> bool:
        return True

    def most_held(self, work: Callable[[], object]) -> int:
        work()
        return self.TAKES

    def batch_limit(self, side: int, crop_bytes: int | None = None) -> int:
        return self.MOST if crop_bytes is None else (self.memory.free or 0) // crop_bytes


GPU = RoomyGpu("cpu", "a test's GPU", threads=1)


class FakeNetwork:
    """Gives half of its input, and records the size of every pass.

    Args:
        on_pass: called with the tensor before each pass; may raise or wait.
    """

    def __init__(
        self, size: int = 16, weights: int = 100, on_pass: Callable[[torch.Tensor], None] | None = None
    ) -> None:
        self.size = size
        self.bytes = weights
        self.passes: list[int] = []
        self.devices: list[str] = []
        self._on_pass = on_pass

    def to(self, device: str) -> None:
        self.devices.append(device)

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        assert threading.current_thread().name == "engine"
        self.passes.append(len(crops))
        if self._on_pass:
            self._on_pass(crops)
        return crops * 0.5


def halved(crops: Crops) -> Crops:
    """What `FakeNetwork` makes of crops: half of the signed value."""
    return crops * np.float32(0.5) + np.float32(0.25)


def some_crops(count: int, side: int = 16, seed: int = 0) -> Crops:
    return np.random.default_rng(seed).random((count, side, side, 3), dtype=np.float32)


class Gate:
    """Holds passes back until it is opened, and tells when one has begun."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.opened = threading.Event()

    def __call__(self, crops: torch.Tensor) -> None:
        self.entered.release()
        assert self.opened.wait(60)

    def wait_for_a_pass(self) -> None:
        assert self.entered.acquire(timeout=30)


def in_background(work: Callable[[], object]) -> Future[object]:
    """Work on a thread of its own, and its outcome."""
    outcome: Future[object] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run).start()
    return outcome


def wait_until(condition: Callable[[], bool]) -> None:
    """Fails if that does not come true."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
