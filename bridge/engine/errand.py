"""One call of `Engine.restore` while it is under way: its pixels, what is missing, how it ended.

Made by the caller's thread, filled in by the engine's; `settled` is the hand-over between the two.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from bridge.engine.batcher import Request
from bridge.engine.runner import Crops
from bridge.errors import BridgeError


@dataclass(eq=False)
class Errand(Request):
    """A request together with its pixels and its outcome."""

    crops: Crops
    cancelled: threading.Event | None
    restored: Crops = field(init=False)
    missing: int = field(init=False)
    failure: BridgeError | None = field(init=False, default=None)
    settled: threading.Event = field(init=False, default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.restored = np.empty_like(self.crops)
        self.missing = self.count

    @property
    def side(self) -> int:
        """S of its crops, in pixels."""
        return int(self.crops.shape[1])

    @property
    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""
        if self.settled.is_set():
            return False
        return self.cancelled is None or not self.cancelled.is_set()

    def accept(self, index: int, crop: Crops) -> None:
        """Keep one restored crop; the last one settles it."""
        self.restored[index] = crop
        self.missing -= 1
        if self.missing == 0:
            self.settled.set()

    def fail(self, failure: BridgeError) -> None:
        """Settle with an error; the first one counts."""
        if not self.settled.is_set():
            self.failure = failure
            self.settled.set()
