"""A queue of its own for each test, with a clock that the test turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bridge.jobs.audit import AuditLog
from bridge.jobs.batches import Batches, Submission
from bridge.jobs.job import Lease
from bridge.jobs.journal import Journal
from bridge.jobs.outputs import Outputs
from bridge.jobs.queue import Queue
from bridge.jobs.store import Store
from bridge.jobs.uploads import Uploads
from bridge.jobs.views import Outlook, Views
from bridge.metrics import Stages
from bridge.pipeline import Tools
from bridge.presets import Parameters
from bridge.protocol.enhancement import EnhanceRequest
from bridge.protocol.jobs import JobRequest
from bridge.protocol.picture import ImageFile
from bridge.reply import Reply, Work, reply_to
from tests.server.conftest import Samples, samples
from tests.server.fakes import FakeCheckpoints, FakeDetector, FakeEngine

__all__ = ["samples"]  # a fixture of the server's tests, used here too


class Died(BaseException):
    """The bridge dies here: nothing catches this but the test."""


@dataclass
class Room:
    """Everything around one store, as one boot of the bridge has it."""

    home: Path
    busy_seconds: float = 5.0
    clock: float = 1000.0
    die_at: str | None = None
    first_pause: float = 5.0
    parts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(exist_ok=True)
        (self.home / "outputs").mkdir(exist_ok=True)
        self.store = Store(self.home / "jobs.sqlite", busy_seconds=self.busy_seconds)
        self.journal = Journal(self.store, Outlook())
        self.views = Views(self.store, Outlook())
        self.queue = Queue(self.store, self.journal, lambda: self.clock, first_pause=self.first_pause)
        self.dropped: list[str] = []
        self.batches = Batches(self.store, self.journal, self.dropped.extend)
        self.outputs = Outputs(self.home / "outputs", self.queue, self.views.owns, self._step)
        self.uploads = Uploads(self.home / "uploads", self.store, 10**6)
        self.audit = AuditLog(self.home / "audit")

    def _step(self, name: str) -> None:
        if name == self.die_at:
            raise Died(name)

    def reborn(self) -> Room:
        """The next boot, after a death: nothing was closed in good order."""
        self.store._writer.close()
        self.store._reader.close()
        return Room(self.home, clock=self.clock + 10)

    def submit(self, count: int = 1, *, by: str = "owner", **request: Any) -> str:
        items = [{"ref": str(number), "source": {"path": f"{number}.png"}} for number in range(count)]
        asked = JobRequest.parse({"items": items, **request})
        names = [f"photo-{number}.png" for number in range(count)]
        return self.batches.submit(Submission(asked, by, Parameters(), names)).job

    def leased(self) -> Lease:
        lease = self.queue.lease()
        assert lease is not None
        return lease

    def publish(self, lease: Lease, reply: Reply) -> None:
        self.queue.finish(self.outputs.publish(lease, reply, {"read": 0.1}, lambda: True))

    def state(self, job: str, item: int = 0) -> str:
        return str(self.views.item(job, item).state)

    def files(self) -> list[str]:
        return sorted(
            path.relative_to(self.outputs.root).as_posix()
            for path in self.outputs.root.rglob("*")
            if path.is_file()
        )


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path / "home")
    yield made
    made.store._writer.close()
    made.store._reader.close()


@pytest.fixture
def reply(samples: Samples, tmp_path: Path) -> Reply:
    """A finished picture."""
    tools = Tools(FakeDetector(), FakeEngine(), FakeCheckpoints(tmp_path / "weights"))  # type: ignore[arg-type]
    parameters = Parameters(denoise=0, sharpen=0)
    work = Work(parameters, tools, False, threading.Event(), Stages())
    return reply_to(ImageFile(samples.png, "image/png"), EnhanceRequest(), work)
