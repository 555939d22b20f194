"""Whether the work on an item goes on: the event that can stop it also tells when it was last looked at."""

from __future__ import annotations

import threading
import time


class Pulse(threading.Event):
    """The `cancelled` of one item; each look at it is a sign of life.

    Pipeline, filters and spool look between faces, passes, tiles and blocks, and whoever waits for memory
    or the device looks several times a second. So a worker is silent only in a step that ends by itself
    within minutes, or never: in a decoder, or a read from a disk that does not answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._looked = time.monotonic()

    def is_set(self) -> bool:
        """Whether the work is to stop; to be asked by who works, and by nobody else."""
        self._looked = time.monotonic()
        return super().is_set()

    @property
    def silence(self) -> float:
        """Seconds since the last look."""
        return time.monotonic() - self._looked
