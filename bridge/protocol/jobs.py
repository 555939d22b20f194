"""The messages about batches: what is to be done to which photos, and how far that is.

A job is a batch; an item is one photo of it. Items are numbered from 0 in the order in which they
were given. Knows no disk, no queue and no HTTP.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from bridge.presets import Parameters, PresetName
from bridge.protocol.enhancement import (
    FaceFound,
    FaceGiven,
    OutputRequest,
    ParameterChanges,
    Selection,
)
from bridge.protocol.message import Answer, Question, Seconds, exactly_one
from bridge.protocol.service import Reason
from bridge.protocol.uploads import Sha256

MAX_ITEMS = 20_000
"""In one job; what a list of them may take is bounded by `max_json_bytes` besides."""
MAX_PAGE = 500
DEFAULT_PAGE = 100

ClientName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
"""Which program: lightroom, photoshop, console, cli, ..."""
Ref = Annotated[str, Field(min_length=1, max_length=512)]
"""The client's own name of a photo, unique among the items of a job."""
Template = Annotated[str, Field(min_length=1, max_length=200)]


ItemStage = Literal["read", "decode", "detect", "denoise", "restore", "blend", "sharpen", "encode", "publish"]
"""Where a leased item is; `read` and `publish` are the queue's own, the rest the pipeline's."""


class ItemStatus(StrEnum):
    """State of one photo."""

    queued = "queued"
    leased = "leased"
    done = "done"
    failed = "failed"
    cancelled = "cancelled"


class JobStatus(StrEnum):
    """State of a batch, derived from its items."""

    queued = "queued"
    running = "running"
    paused = "paused"
    cancelled = "cancelled"
    finished = "finished"


class Verdict(StrEnum):
    """What a person said about a finished photo."""

    none = "none"
    accepted = "accepted"
    rejected = "rejected"
    redo = "redo"


Priority = Literal["interactive", "batch"]
"""`interactive`: somebody waits for it, it goes before every batch."""


# --- what is asked ----------------------------------------------------------


class Source(Question):
    """Where a photo is: exactly one of the two.

    Attributes:
        path: relative to the exchange folder or to a root that the owner allowed, with `/`.
        upload: id of a complete upload: an image file, or a frame with one.
    """

    model_config = ConfigDict(json_schema_extra=exactly_one("path", "upload"))

    path: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    upload: Annotated[str, Field(min_length=1, max_length=64)] | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.path is None) == (self.upload is None):
            raise ValueError("give either `path` or `upload`")
        return self


class JobOutput(OutputRequest):
    """How a result is written.

    Attributes:
        template: its name without the extension, `/` for sub-folders; {stem} of the source, {preset},
            {date} on which the job was made (YYYY-MM-DD), {counter} (number of the item from 0001)
            and {client} are filled in.
        on_clash: a file of that name exists: take the next number, replace it if it is a result of
            ours that nobody changed (else number), or fail the item.
    """

    template: Template = "{stem}-GPEN"
    on_clash: Literal["number", "replace_own", "fail"] = "number"


class ItemRequest(Question):
    """One photo of a batch.

    Attributes:
        params: what differs from the job's parameters for this photo.
        faces: faces found before; then nothing is detected.
        select: shorthand for `params.select`, and above it.
        compose: as in `POST /v1/enhance`; `layers` answers with a frame.
        output: absent: the job's.
    """

    ref: Ref
    source: Source
    output: JobOutput | None = None
    params: ParameterChanges = ParameterChanges()
    faces: tuple[FaceGiven, ...] | None = None
    select: Selection | None = None
    compose: Literal["composite", "layers"] = "composite"


class ItemsRequest(Question):
    """`POST /v1/jobs/{job}/items`: more photos for a batch. A `ref` that it has already is left alone."""

    items: Annotated[tuple[ItemRequest, ...], Field(min_length=1, max_length=MAX_ITEMS)]

    @model_validator(mode="after")
    def _refs_differ(self) -> Self:
        refs = [item.ref for item in self.items]
        if len(set(refs)) != len(refs):
            raise ValueError("two items have the same `ref`")
        return self


class JobRequest(ItemsRequest):
    """`POST /v1/jobs`.

    Attributes:
        client: which program asks; {client} in templates.
        name: what people see in lists, for example the folder or collection.
        preset: a built-in or user preset; the parameters start from it, now: a later change of the
            preset does not reach the job.
        params: what differs from the preset.
        output: for items that bring none.
        priority: `interactive` goes before every `batch`.
    """

    client: ClientName = "unknown"
    name: Annotated[str, Field(max_length=200)] = ""
    preset: PresetName = "default"
    params: ParameterChanges = ParameterChanges()
    output: JobOutput = JobOutput()
    priority: Priority = "batch"


class RetryRequest(Question):
    """`POST .../retry`: run failed (or cancelled) items again.

    Attributes:
        states: which ones.
        preset: another preset to start from; absent: the parameters that the item had.
        params: what differs from that.
    """

    states: Annotated[tuple[Literal["failed", "cancelled"], ...], Field(min_length=1)] = ("failed",)
    preset: PresetName | None = None
    params: ParameterChanges = ParameterChanges()


# --- what is answered -------------------------------------------------------


class Counts(Answer):
    """Items by state, and what became of the finished ones.

    Attributes:
        paused: of the queued ones, those that wait for a resume of their own.
        acked: of the done ones, those that were written back.
        unreviewed: of the done ones, those that nobody judged.
    """

    total: int
    queued: int = 0
    leased: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    paused: int = 0
    acked: int = 0
    unreviewed: int = 0
    accepted: int = 0
    rejected: int = 0
    redo: int = 0


class Eta(Answer):
    """Seconds until the last item of a job is done: a guess with its range (10 to 90 %)."""

    low: Seconds
    likely: Seconds
    high: Seconds


class JobState(Answer):
    """A batch.

    Attributes:
        job: its id.
        client_id: who sent it and may steer it; absent in events that an older bridge stored.
        parameters: those that its items start from.
        waiting: why nothing of it is worked on though it is not paused: `not_ready`, `disk_low`,
            `store_unavailable`.
        eta: absent before anything was measured, while paused, and at the end.
        finished_at: when its last item was settled; like all times ISO 8601 in UTC.
    """

    job: str
    client: str
    client_id: str | None = None
    name: str
    preset: str
    parameters: Parameters
    output: JobOutput
    priority: Priority
    state: JobStatus
    counts: Counts
    eta: Eta | None = None
    waiting: Reason | None = None
    created_at: str
    finished_at: str | None = None


class JobList(Answer):
    """A page of jobs, newest first; `next` is the `after` of the next page, absent on the last.

    Attributes:
        unreadable: jobs of this part of the list whose stored record is damaged; their photos are done
            all the same.
    """

    jobs: tuple[JobState, ...]
    unreadable: tuple[str, ...] = ()
    next: str | None = None


class ItemError(Answer):
    """Why an item failed, or why it is tried again."""

    code: str
    title: str
    detail: str
    hint: str
    retryable: bool


class ItemResult(Answer):
    """A finished file.

    Attributes:
        name: relative to the bridge's output folder, with `/`.
        path: the file itself, for programs on this computer; a plug-in may move it.
        found: faces in the photo.
        restored: faces that were changed.
        available: false once the file was moved, replaced, or removed by retention.
    """

    name: str
    path: str
    media_type: str
    size: int
    sha256: Sha256
    width: int
    height: int
    found: int
    restored: int
    warnings: tuple[str, ...] = ()
    available: bool = True


class ReviewState(Answer):
    """A person's word.

    Attributes:
        by: who said it, as named in pairing, or `owner`.
        redone_as: number of the item that tries again, after `redo`.
    """

    verdict: Verdict = Verdict.none
    note: str = ""
    at: str | None = None
    by: str | None = None
    redone_as: int | None = None


class ItemState(Answer):
    """One photo of a batch.

    Attributes:
        item: its number in the job, from 0.
        source: the source's file name.
        stage: of a leased item.
        paused: waits for a resume of its own.
        attempts: tries so far, the present one included; a new start after `retry`.
        error: of a failed item, or of the last try of one that is tried again.
        seconds: by stage, of the last finished try.
        redo_of: number of the item that this one tries again.
        fetched_at: when the result was first downloaded whole.
        acked_at: when a client said that it was written back.
    """

    item: int
    ref: str
    source: str
    state: ItemStatus
    stage: ItemStage | None = None
    paused: bool = False
    attempts: int = 0
    error: ItemError | None = None
    seconds: dict[str, Seconds] = Field(default_factory=dict)
    preset: str
    parameters: Parameters
    result: ItemResult | None = None
    review: ReviewState = ReviewState()
    redo_of: int | None = None
    queued_at: str
    finished_at: str | None = None
    fetched_at: str | None = None
    acked_at: str | None = None


class ItemDetail(ItemState):
    """`GET /v1/jobs/{job}/items/{item}`: with the faces, in detection order; absent before it is done."""

    faces: tuple[FaceFound, ...] | None = None


class ItemPage(Answer):
    """Items in the order of their numbers; `next` is the `after` of the next page, absent on the last."""

    items: tuple[ItemState, ...]
    next: int | None = None
