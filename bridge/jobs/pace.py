"""How long the rest will take: a guess with an honest range, from how the last items went."""

from __future__ import annotations

import math
import threading
from statistics import fmean, variance

from bridge.protocol.jobs import Eta

REMEMBERED = 50
"""Gaps between finished items that the guess is made of."""
ENOUGH = 2
"""Gaps before anything is said."""
IDLE_GAP = 10.0
"""A gap this many times the usual one is a pause of the queue, not work."""
Z_80 = 1.2816
"""Of a normal distribution, 80 % lie within so many standard deviations."""


class Pace:
    """Told whenever an item is settled; may be told and asked from any thread."""

    def __init__(self) -> None:
        self._gaps: tuple[float, ...] = ()
        self._last: float | None = None
        self._lock = threading.Lock()

    def settled(self, moment: float) -> None:
        """An item was finished or failed at `moment`, in monotonic seconds."""
        with self._lock:
            if self._last is not None:
                gap = moment - self._last
                if len(self._gaps) < ENOUGH or gap <= IDLE_GAP * fmean(self._gaps):
                    self._gaps = (*self._gaps[1 - REMEMBERED :], gap)
            self._last = moment

    def idle(self) -> None:
        """Nothing is left to do: the time until the next item says nothing about work."""
        with self._lock:
            self._last = None

    def eta(self, items: int) -> Eta | None:
        """Seconds for so many items; None before enough was seen.

        The sum of n gaps has mean n*m and variance n*s^2; that m itself is a guess from k gaps adds
        (n*s)^2 / k.
        """
        gaps = self._gaps  # a new tuple each time, so that this one holds still
        if len(gaps) < ENOUGH:
            return None
        likely = items * fmean(gaps)
        spread = Z_80 * math.sqrt(variance(gaps) * items * (1 + items / len(gaps)))
        return Eta(
            low=round(max(0.0, likely - spread), 1), likely=round(likely, 1), high=round(likely + spread, 1)
        )
