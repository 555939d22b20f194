"""The messages about the bridge itself: how it is, what it can do, presets, checkpoints, clients."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, model_validator

from bridge.presets import Parameters, Preset
from bridge.protocol.message import Answer, Question, Seconds, exactly_one


class Problem(Answer):
    """RFC 9457, with the members that a client acts on.

    Attributes:
        code: stable, snake_case; docs/protocol.md lists all.
        hint: what a person can do about it.
        retryable: whether the same request may succeed later.
        instance: names this occurrence; the log has it too.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    retryable: bool
    instance: str


class Health(Answer):
    """Liveness; all that a stranger learns."""

    service: Literal["gpen-bridge"] = "gpen-bridge"
    status: Literal["ok", "starting", "degraded"]
    version: str
    protocol: int


class Reason(Answer):
    """Why the bridge is not ready: an error's code and what happened."""

    code: str
    detail: str


class Ready(Answer):
    """Readiness; true only after the self-test."""

    ready: bool
    reasons: tuple[Reason, ...] = ()


class Limits(Answer):
    """What one request may carry."""

    max_megapixels: float
    max_upload_bytes: int
    max_json_bytes: int
    max_requests: int


class LicenceState(Answer):
    """Terms of a checkpoint.

    Attributes:
        terms: the whole text, to be shown before consent.
        commercial: whether paid work is allowed.
        accepted: this user has accepted them, or there is nothing to accept.
    """

    title: str
    terms: str
    commercial: bool
    accepted: bool


class TransferState(Answer):
    """A download under way, `done` of `total` bytes, or ended with a problem."""

    done: int
    total: int | None = None
    problem: Reason | None = None


class CheckpointState(Answer):
    """A checkpoint that is known.

    Attributes:
        summary: what to expect of it.
        side: of the network's square input, in pixels.
        bytes: length of the published file, where that is known.
    """

    name: str
    title: str
    summary: str
    side: int
    bytes: int | None = None
    sha256: str | None = None
    licence: LicenceState
    bundled: bool
    installed: bool
    transfer: TransferState | None = None


class Capabilities(Answer):
    """What this bridge can do now."""

    version: str
    protocol: int
    device: str | None
    engines: dict[str, str]
    """What runs each checkpoint that was used since the start."""
    resident: tuple[str, ...] = ()
    """Checkpoints whose networks are loaded now; any other is loaded by the first face that wants it."""
    checkpoints: tuple[CheckpointState, ...]
    presets: tuple[Preset, ...]
    modes: tuple[str, ...]
    formats: tuple[str, ...]
    limits: Limits


class StageStats(Answer):
    """How long a stage takes."""

    count: int
    seconds: Seconds
    mean: Seconds


class Stats(Answer):
    """Since the bridge started.

    Attributes:
        images: pictures by outcome: `done` or an error code.
        images_per_hour: finished pictures, over the time since the start.
    """

    uptime_seconds: Seconds
    in_flight: int
    images: dict[str, int]
    faces: int
    images_per_hour: float
    stages: dict[str, StageStats]


class PresetBody(Question):
    """`PUT /v1/presets/{name}`."""

    parameters: Parameters


class PresetList(Answer):
    """Built-in presets first, then the user's by name."""

    presets: tuple[Preset, ...]


class CheckpointList(Answer):
    """Installed and known checkpoints."""

    checkpoints: tuple[CheckpointState, ...]


class CheckpointRequest(Question):
    """`POST /v1/checkpoints`: fetch one that is known, or take in a file.

    Attributes:
        download: a known checkpoint's name.
        file: name of a file in the exchange folder.
        upload: a complete upload, known by the name that its file had.
        name: what an imported file of one's own shall be called.
        accept_licence: the owner read the terms and agrees.
    """

    model_config = ConfigDict(json_schema_extra=exactly_one("download", "file", "upload"))

    download: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    file: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    upload: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    accept_licence: StrictBool = False

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if sum(one is not None for one in (self.download, self.file, self.upload)) != 1:
            raise ValueError("give one of `download`, `file` and `upload`")
        return self


class CancelResult(Answer):
    """The request was told to stop; it ends at its next face or stage."""

    cancelled: bool = True


Right = Literal["submit", "review", "admin"]
"""What a client may do beside looking: send and steer photos; judge them; what is otherwise the owner's."""


class PairRequest(Question):
    """`POST /v1/pair`.

    Attributes:
        code: as the bridge shows it; case, spaces and hyphens do not matter.
        client: which program: lightroom, photoshop, console, ...
        name: what the owner will see in the list of clients.
    """

    code: Annotated[str, Field(min_length=1, max_length=32)]
    client: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]


class PairResult(Answer):
    """The token is shown this once; the bridge keeps only its hash.

    Attributes:
        standing: `owner` after a code that signs in to the console, else `client`.
    """

    token: str
    client_id: str
    standing: Literal["owner", "client"] = "client"
    rights: tuple[Right, ...]


class PairCode(Answer):
    """A code to type into a plug-in."""

    code: str
    seconds: Seconds


class ClientState(Answer):
    """A paired client.

    Attributes:
        queued, leased: its photos that wait, and that are worked on.
    """

    client_id: str
    client: str
    name: str
    paired_at: str
    standing: Literal["owner", "client"] = "client"
    rights: tuple[Right, ...]
    queued: int = 0
    leased: int = 0


class Worker(Answer):
    """One of a studio's workers, as it was last seen.

    Attributes:
        node: id of its node; `host` is that machine's name.
        healthy: it answers, and its self-test went well; else `problem` says why not.
        draining: it gets nothing new.
        checkpoints: that it has loaded.
        pid: its process, on its machine.
        at_work: faces that it holds.
    """

    worker: str
    node: str
    host: str
    device: str
    healthy: bool
    problem: str
    draining: bool
    checkpoints: tuple[str, ...]
    pid: int
    at_work: int


class WorkerList(Answer):
    """A studio's workers; `waiting` pictures have faces that no worker has yet."""

    workers: tuple[Worker, ...]
    waiting: int = 0


class ClientList(Answer):
    """Paired clients, oldest first."""

    clients: tuple[ClientState, ...]
