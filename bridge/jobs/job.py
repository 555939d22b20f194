"""Job and item: their states, and the one table of legal transitions. Pure.

Knows no store, no clock but the one that stamps times for people, and no thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from bridge.errors import BridgeError, CrashLoop
from bridge.presets import Parameters
from bridge.protocol.enhancement import EnhanceRequest
from bridge.protocol.jobs import Counts, ItemStatus, JobOutput, JobStatus, Source

MAX_ATTEMPTS = 3
"""Tries of an item whose error may heal."""
CRASHES_BEFORE_ALONE = 2
"""Deaths of the bridge during an item after which it is worked on alone; one more, alone, fails it."""
BACKOFF = 4.0
"""Each pause before a try is this many times the one before."""


class Move(StrEnum):
    """What can happen to an item."""

    lease = "lease"
    finish = "finish"
    fail = "fail"
    heal = "heal"
    """Failed, but tried again after a pause."""
    release = "release"
    """Given back untried: the bridge stops, or died before the item was in a stage."""
    lose = "lose"
    """The bridge died while it was in a stage."""
    cancel = "cancel"
    retry = "retry"


_S = ItemStatus
TRANSITIONS: dict[Move, tuple[frozenset[ItemStatus], ItemStatus]] = {
    Move.lease: (frozenset({_S.queued}), _S.leased),
    Move.finish: (frozenset({_S.leased}), _S.done),
    Move.fail: (frozenset({_S.leased}), _S.failed),
    Move.heal: (frozenset({_S.leased}), _S.queued),
    Move.release: (frozenset({_S.leased}), _S.queued),
    Move.lose: (frozenset({_S.leased}), _S.queued),
    Move.cancel: (frozenset({_S.queued, _S.leased}), _S.cancelled),
    Move.retry: (frozenset({_S.failed, _S.cancelled}), _S.queued),
}
"""Every legal transition: from which states a move leads to which. `done` is left by no move.

In a cancelled job a move that leads to `queued` is a `cancel` instead.
"""

SETTLED = frozenset({_S.done, _S.failed, _S.cancelled})


class Control(StrEnum):
    """What the client last wanted of a job."""

    open = "open"
    paused = "paused"
    cancelled = "cancelled"


@dataclass(frozen=True)
class Lease:
    """An item that a worker holds, with all that it needs to work on it.

    Attributes:
        lease_id: whoever changes the item must name it.
        attempt: which try this is, from 1.
        alone: nothing else of a batch may be in memory with it.
        made_on: date of the job, YYYY-MM-DD.
    """

    lease_id: str
    job: str
    item: int
    ref: str
    source: Source
    source_name: str
    output: JobOutput
    question: EnhanceRequest
    parameters: Parameters
    client: str
    client_id: str
    made_on: str
    attempt: int
    crashes: int
    alone: bool
    interactive: bool


def now() -> str:
    """This moment for people: ISO 8601 in UTC with milliseconds. Nothing is decided by it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_status(control: Control, counts: Counts) -> JobStatus:
    """The state of a job, derived."""
    if counts.queued + counts.leased == 0:
        stopped = control is Control.cancelled and counts.cancelled > 0
        return JobStatus.cancelled if stopped else JobStatus.finished
    if control is Control.paused or (counts.leased == 0 and counts.paused == counts.queued):
        return JobStatus.paused
    return JobStatus.queued if counts.queued == counts.total else JobStatus.running


def pause_before_next(error: BridgeError, attempt: int, first_pause: float) -> float | None:
    """Seconds until an item is tried again; None: it has failed.

    Args:
        attempt: the try that failed, from 1.
        first_pause: seconds before the second try.
    """
    if not error.retryable or attempt >= MAX_ATTEMPTS:
        return None
    return first_pause * BACKOFF ** (attempt - 1)


def after_crash(crashes: int, *, was_alone: bool) -> BridgeError | None:
    """What an item's next death means; None: it is queued again.

    Args:
        crashes: deaths before this one.
        was_alone: it was worked on alone this time.
    """
    if crashes >= CRASHES_BEFORE_ALONE and was_alone:
        return CrashLoop("The bridge died whenever it worked on this photo, the last time on it alone.")
    return None
