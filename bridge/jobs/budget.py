"""How many pixels may be in memory together: the bound that no batch's size can move.

Whoever asks first is served first, so that a large photo is not passed for ever by small ones.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from bridge.errors import Cancelled

LOOK_SECONDS = 0.1


class Budget:
    """Megapixels shared by the workers; a photo over all of them gets them all."""

    def __init__(self, megapixels: float) -> None:
        self._total = megapixels
        self._taken = 0.0
        self._changed = threading.Condition()
        self._line: deque[object] = deque()

    @contextmanager
    def take(self, megapixels: float, *, alone: bool, cancelled: threading.Event) -> Iterator[None]:
        """Wait for room, and hold it for the block.

        Args:
            alone: take everything, so that nothing else is in memory.

        Raises:
            Cancelled: `cancelled` was set while waiting.
        """
        share = self._total if alone else min(megapixels, self._total)
        ticket = object()
        with self._changed:
            self._line.append(ticket)
            try:
                while self._line[0] is not ticket or self._taken + share > self._total:
                    if cancelled.is_set():
                        raise Cancelled
                    self._changed.wait(LOOK_SECONDS)
                self._taken += share
            finally:
                self._line.remove(ticket)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._taken -= share
                self._changed.notify_all()
