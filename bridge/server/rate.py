"""How often somebody may ask: a bucket for each, which fills with time. Pure but for its clock."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KNOWN = 10_000
"""Buckets kept; the one that was asked longest ago goes first, and would be full again."""


class Rate:
    """So many requests a minute for each name, up to a quarter of them at once.

    Args:
        a_minute: requests; 0: no bound.
        clock: seconds that only go forward.
    """

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._fill = a_minute / 60
        self._most = max(1.0, a_minute / 4)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> int:
        """Use one up; 0 when there was one, else the seconds until there is."""
        if not self._fill:
            return 0
        level = self._level(name)
        missing = 1 - level
        self._put(name, level if missing > 0 else level - 1)
        return math.ceil(missing / self._fill) if missing > 0 else 0

    def wait(self, name: str) -> int:
        """What `take` would say; uses nothing up."""
        missing = 1 - self._level(name) if self._fill else 0
        return math.ceil(missing / self._fill) if missing > 0 else 0

    def _level(self, name: str) -> float:
        level, since = self._buckets.get(name, (self._most, self._clock()))
        return min(self._most, level + (self._clock() - since) * self._fill)

    def _put(self, name: str, level: float) -> None:
        self._buckets[name] = (level, self._clock())
        self._buckets.move_to_end(name)
        if len(self._buckets) > MOST_KNOWN:
            self._buckets.popitem(last=False)
