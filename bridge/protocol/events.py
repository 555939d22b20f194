"""The messages of /v1/events: what changed, numbered without a gap.

The first message is the client's, all others are the bridge's. A number is given when a change
is stored, in the same transaction, so it survives a restart: whoever comes back with the last
number that he saw misses nothing and sees nothing twice.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, RootModel

from bridge.protocol.jobs import ItemStage, ItemState, JobState
from bridge.protocol.message import Answer, Question
from bridge.protocol.service import Reason


class Subscribe(Question):
    """The first message of a socket, within 5 seconds.

    Attributes:
        since: number of the last event seen; absent: only what happens from now on.
    """

    token: Annotated[str, Field(min_length=1, max_length=200)]
    since: Annotated[int, Field(ge=0, lt=2**63)] | None = None  # what the store can number


class Hello(Answer):
    """The bridge's first message.

    Attributes:
        seq: number of the newest event; without `since`, the one to come back with.
        complete: false when events after `since` are no longer kept: read jobs and items afresh; the
            events that follow begin after `seq`.
    """

    type: Literal["hello"] = "hello"
    seq: int
    complete: bool = True


class JobChanged(Answer):
    """A job is new or changed: its state, counts or ETA.

    Attributes:
        items_changed: many items changed with it (cancel, pause, retry): read them again.
    """

    type: Literal["job"] = "job"
    seq: int
    at: str
    job: str
    state: JobState
    items_changed: bool = False


class ItemChanged(Answer):
    """An item is new, or changed its state, review, acknowledgement or result."""

    type: Literal["item"] = "item"
    seq: int
    at: str
    job: str
    state: ItemState


class StageBegun(Answer):
    """A leased item entered a stage."""

    type: Literal["stage"] = "stage"
    seq: int
    at: str
    job: str
    item: int
    stage: ItemStage


class QueueChanged(Answer):
    """Whether items are worked on at all.

    Attributes:
        waiting: why not; absent: they are.
    """

    type: Literal["queue"] = "queue"
    seq: int
    at: str
    waiting: Reason | None = None


class Event(
    RootModel[
        Annotated[Hello | JobChanged | ItemChanged | StageBegun | QueueChanged, Field(discriminator="type")]
    ]
):
    """Any message of the bridge, told apart by `type`. Readers pass over types they do not know."""
