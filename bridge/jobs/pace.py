"""How long the rest will take: a guess with an honest range, from how the last items went. Pure."""

from __future__ import annotations

import math
from collections import deque

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
    """Told whenever an item is settled."""

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=REMEMBERED)
        self._last: float | None = None

    def settled(self, moment: float) -> None:
        """An item was finished or failed at `moment`, in monotonic seconds."""
        if self._last is not None:
            gap = moment - self._last
            if len(self._gaps) < ENOUGH or gap <= IDLE_GAP * self._mean:
                self._gaps.append(gap)
        self._last = moment

    def idle(self) -> None:
        """Nothing is left to do: the time until the next item says nothing about work."""
        self._last = None

    def eta(self, items: int) -> Eta | None:
        """Seconds for so many items; None before enough was seen.

        The sum of n gaps has mean n*m and variance n*s^2; that m itself is a guess from k gaps adds
        (n*s)^2 / k.
        """
        if len(self._gaps) < ENOUGH:
            return None
        likely = items * self._mean
        variance = sum((gap - self._mean) ** 2 for gap in self._gaps) / (len(self._gaps) - 1)
        spread = Z_80 * math.sqrt(variance * items * (1 + items / len(self._gaps)))
        return Eta(
            low=round(max(0.0, likely - spread), 1), likely=round(likely, 1), high=round(likely + spread, 1)
        )

    @property
    def _mean(self) -> float:
        return sum(self._gaps) / len(self._gaps)
