"""Whose turn it is: who was served least goes next, in seconds of work. Pure; the time is passed in.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996, doi:10.1145/248156.248171) in its simplest
form: whoever comes back after a pause is level with the least served, and has no credit from before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class Shares:
    """Seconds of workers that each client has had; for any number of threads.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._served: dict[str, float] = {}
        self._running: dict[str, tuple[str, float]] = {}

    def begin(self, client: str, lease: str) -> None:
        """A worker begins on an item of a client."""
        with self._lock:
            self._running[lease] = (client, self._clock())

    def end(self, lease: str) -> None:
        """It is through, however it ended; unknown leases are none of ours."""
        with self._lock:
            if (begun := self._running.pop(lease, None)) is not None:
                client, since = begun
                self._served[client] = self._served.get(client, 0.0) + self._clock() - since

    def in_turn(self, waiting: Iterable[str]) -> list[str]:
        """Clients whose work waits, whose turn it is first."""
        clients = list(dict.fromkeys(waiting))
        with self._lock:
            served, counts = self._so_far()
            here = set(clients) | set(counts)
            floor = min((served[client] for client in here if client in served), default=0.0)
            # Whoever is not here is forgotten, so that time away is neither held against them nor for them.
            self._served = {client: self._served.get(client, floor) for client in here}
            served = {client: served.get(client, floor) for client in here}
        return sorted(clients, key=lambda client: (served[client], counts.get(client, 0)))

    def _so_far(self) -> tuple[dict[str, float], dict[str, int]]:
        served, counts, moment = dict(self._served), dict[str, int](), self._clock()
        for client, since in self._running.values():
            served[client] = served.get(client, 0.0) + moment - since
            counts[client] = counts.get(client, 0) + 1
        return served, counts
