"""What is said about workers elsewhere, and to them: the vocabulary that pool, driver and workers share.

Plain values; knows no Ray, no torch and no threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Crop = NDArray[np.float32]
"""One crop as a call carries it: 1 x S x S x 3 float32, RGB, sRGB-encoded, unclipped on the way back."""


@dataclass(frozen=True)
class Published:
    """A checkpoint as it is handed out to nodes.

    Attributes:
        path: of the file on the bridge's machine.
        sha256: what every copy has to have.
        size: in bytes.
        input, output: as in the manifest, see `bridge.network.form`.
    """

    name: str
    path: Path
    sha256: str
    size: int
    input: Literal["signed", "unit"]
    output: Literal["absolute", "residual"]


@dataclass(frozen=True)
class Equipment:
    """How a node sets its workers up.

    Attributes:
        folder: the node's own; checkpoints and engine trials lie there.
        device, engine, threads: as in the settings.
        unload_after: seconds without work after which networks are let go of; None: never.
    """

    folder: Path
    device: str = "auto"
    engine: str = "auto"
    threads: int = 0
    unload_after: float | None = None

    def written(self) -> str:
        """For an environment variable."""
        return json.dumps(asdict(self) | {"folder": str(self.folder)})

    @classmethod
    def read(cls, text: str) -> Equipment:
        """What `written` wrote."""
        fields = json.loads(text)
        return cls(**fields | {"folder": Path(fields["folder"])})


@dataclass(frozen=True)
class Pulse:
    """What a worker tells of itself, once a second."""

    version: str
    host: str
    device: str
    pid: int
    checkpoints: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Refusal:
    """An error as its stable code and what happened; classes of exceptions do not travel."""

    code: str
    detail: str


@dataclass(frozen=True)
class WorkerState:
    """One worker, as it was last seen.

    Attributes:
        worker: its id; the node's id and a number.
        node: id of the node that it runs on.
        host: name of that machine, for people.
        device: as its maker names it; empty until it told.
        healthy: it answered within the last seconds, and its self-test went well.
        problem: why it is not; empty when it is.
        draining: it gets nothing new.
        checkpoints: names of the networks that it has loaded, each with its engine.
        pid: its process, on its machine; 0 until it told.
    """

    worker: str
    node: str
    host: str
    device: str = ""
    healthy: bool = False
    problem: str = ""
    draining: bool = False
    checkpoints: dict[str, str] = field(default_factory=dict)
    pid: int = 0


@dataclass(frozen=True)
class Call:
    """One crop for one worker."""

    call: int
    worker: str
    checkpoint: str
    crop: Crop
    urgent: bool


@dataclass(frozen=True)
class Done:
    """A call's result."""

    call: int
    crop: Crop


@dataclass(frozen=True)
class Refused:
    """The worker ran the call and gave an error: its code, and what happened."""

    call: int
    code: str
    detail: str


@dataclass(frozen=True)
class Lost:
    """Nobody knows what became of a call: its worker died, or the way to it broke."""

    call: int


@dataclass(frozen=True)
class Seen:
    """How the workers are; sent about once a second.

    Attributes:
        problem: why there is no cluster; empty when there is one.
    """

    workers: tuple[WorkerState, ...]
    problem: str = ""


Report = Done | Refused | Lost | Seen


class Cluster(Protocol):
    """Where calls go. Reports come from a thread of its own, one at a time."""

    def start(self, on_report: Callable[[Report], None]) -> None:
        """Begin to look for workers; returns at once."""

    def submit(self, call: Call) -> None:
        """Hand a call over; Done, Refused or Lost will tell how it ended."""

    def cancel(self, call: int) -> None:
        """Nobody waits for it any more; what is told of it from now on is ignored."""

    def drain(self, node: str, draining: bool) -> None:
        """Stop or resume giving work to a node."""

    def close(self) -> None:
        """End; nothing is reported afterwards."""


Describe = Callable[[str], Published]
"""Looks up a checkpoint by name; raises CheckpointError."""
