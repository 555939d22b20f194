"""Requests -> batches: who goes next, and with whom.

Owns the order of work and the size of a pass. Pure: knows no torch, no threads and no clock (the
time is passed in), so that each rule is tested without waiting. Not thread-safe; the engine locks.

The order is earliest due first. An urgent request is due when it arrives, batch work `PATIENCE`
later, and whoever was served is due again that much after the pass. So interactive work passes
batch work, a group photo's thirty faces share the device with a single portrait, and nothing
starves: with time, work that waits is the earliest due.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

PATIENCE = 30.0
"""Seconds that batch work lets urgent work pass."""
RECOVERY = 64
"""Passes without trouble after which a limit that was halved is doubled again: whatever filled the
memory may be gone."""


@dataclass(eq=False)
class Request:
    """Some crops for one network.

    Attributes:
        checkpoint: name of the network.
        count: how many crops.
        urgent: somebody sits and waits for it.
        arrived: in seconds of the clock that `Batcher.next` is told.
    """

    checkpoint: str
    count: int
    urgent: bool
    arrived: float
    _due: float = field(init=False)
    _waiting: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._waiting = list(range(self.count))
        self._line_up(self.arrived)

    def _line_up(self, now: float) -> None:
        self._due = now if self.urgent else now + PATIENCE


AnyRequest = TypeVar("AnyRequest", bound=Request)


@dataclass(frozen=True)
class Batch(Generic[AnyRequest]):
    """One pass.

    Attributes:
        seats: (request, index of one of its crops), at least one; all of one checkpoint.
    """

    seats: tuple[tuple[AnyRequest, int], ...]

    @property
    def checkpoint(self) -> str:
        """Name of the network."""
        return self.seats[0][0].checkpoint

    @property
    def requests(self) -> Iterable[AnyRequest]:
        """Each request once, in order."""
        return dict.fromkeys(request for request, _ in self.seats)


class Batcher(Generic[AnyRequest]):
    """The work that waits.

    Args:
        window: seconds that a pass which is not full waits for company; 0 where passes of one are best.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._requests: list[AnyRequest] = []
        self._limits: dict[str, int] = {}
        self._ceilings: dict[str, int] = {}
        self._good_passes: dict[str, int] = {}

    def __len__(self) -> int:
        """Requests with crops that wait."""
        return len(self._requests)

    def set_limit(self, checkpoint: str, limit: int) -> None:
        """Bound the passes of a network; 1 until this is called."""
        self._limits[checkpoint] = self._ceilings[checkpoint] = limit
        self._good_passes[checkpoint] = 0

    def add(self, request: AnyRequest) -> None:
        """Queue all of its crops. A request of zero crops never yields a batch."""
        if request._waiting:
            self._requests.append(request)

    def remove(self, request: AnyRequest) -> None:
        """Take out what still waits of it; nothing happens when nothing does."""
        request._waiting.clear()
        if request in self._requests:
            self._requests.remove(request)

    def clear(self) -> list[AnyRequest]:
        """Take everything out, and tell what it was."""
        gone, self._requests = self._requests, []
        for request in gone:
            request._waiting.clear()
        return gone

    def next(self, now: float) -> Batch[AnyRequest] | float | None:
        """What to do at `now`: run a batch, ask again after that many seconds, or (None) wait for work."""
        if not self._requests:
            return None
        in_order = sorted(self._requests, key=lambda request: request._due)
        checkpoint = in_order[0].checkpoint
        companions = [request for request in in_order if request.checkpoint == checkpoint]
        limit = self._limits.get(checkpoint, 1)
        if sum(len(request._waiting) for request in companions) < limit:
            wait = min(request.arrived for request in companions) + self._window - now
            if wait > 0:
                return wait
        return self._board(companions, limit, now)

    def put_back(self, batch: Batch[AnyRequest]) -> None:
        """Queue a batch again, first in line."""
        for request, index in reversed(batch.seats):
            if not request._waiting:
                self._requests.append(request)
            request._waiting.insert(0, index)
            request._due = request.arrived

    def halve(self, batch: Batch[AnyRequest]) -> bool:
        """Bound its network to half of this batch; False, and unchanged, when it was a pass of one."""
        if len(batch.seats) == 1:
            return False
        self._limits[batch.checkpoint] = len(batch.seats) // 2
        self._good_passes[batch.checkpoint] = 0
        return True

    def went_well(self, batch: Batch[AnyRequest]) -> None:
        """Record a pass, so that a halved limit recovers in time."""
        checkpoint = batch.checkpoint
        self._good_passes[checkpoint] = self._good_passes.get(checkpoint, 0) + 1
        limit, ceiling = self._limits.get(checkpoint, 1), self._ceilings.get(checkpoint, 1)
        if limit < ceiling and self._good_passes[checkpoint] % RECOVERY == 0:
            self._limits[checkpoint] = min(2 * limit, ceiling)

    def _board(self, companions: list[AnyRequest], limit: int, now: float) -> Batch[AnyRequest]:
        seats: list[tuple[AnyRequest, int]] = []
        for request in companions:
            taken = request._waiting[: limit - len(seats)]
            if not taken:
                break
            del request._waiting[: len(taken)]
            seats += [(request, index) for index in taken]
            request._line_up(now)
            if not request._waiting:
                self._requests.remove(request)
        return Batch(tuple(seats))
