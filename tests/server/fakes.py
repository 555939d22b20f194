"""Parts that need no network: one face in the middle of any photo, a restoration that brightens it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from bridge.checkpoints import Checkpoints, Entry, Progress
from bridge.config import Places, Settings, bundled
from bridge.errors import BridgeError, Cancelled
from bridge.faces.face import Face
from bridge.imaging.image import FloatPixels, Image
from bridge.pipeline import Tools
from bridge.server.parts import Parts

POINTS = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])


class FakeDetector:
    def __init__(self) -> None:
        self.calls: list[tuple[float, float]] = []

    def detect(self, image: Image, *, min_size: float, min_score: float, **_: Any) -> list[Face]:
        self.calls.append((min_size, min_score))
        span = np.array([image.width, image.height]) * 0.5
        corner = span / 2
        box = (corner[0], corner[1], corner[0] + span[0], corner[1] + span[1])
        face = Face(tuple(float(v) for v in box), corner + POINTS * span, 0.9)  # type: ignore[arg-type]
        return [face] if face.size >= min_size and face.score >= min_score else []


class FakeEngine:
    """Brightens crops; while `gate` is closed it waits, looking at `cancelled` like the real one."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.cancels = 0
        self.deaf = False  # a decoder, or a pass that has begun: it does not look up
        self.failure: BridgeError | None = None

    def restore(
        self,
        checkpoint: str,
        crops: FloatPixels,
        *,
        urgent: bool = True,
        cancelled: threading.Event | None = None,
    ) -> FloatPixels:
        self.entered.release()
        while not self.gate.wait(0.005):
            if cancelled is not None and cancelled.is_set() and not self.deaf:
                self.cancels += 1
                raise Cancelled
        if self.failure is not None:
            raise self.failure
        return np.asarray(crops * 0.8 + 0.1, np.float32)


class FakeCheckpoints(Checkpoints):
    """The real manifest; every face gets `fake`, and downloads are a gate that a test opens."""

    def __init__(self, user: Path) -> None:
        super().__init__(bundled("weights"), user)
        self.arrived = threading.Event()
        self.failure: Exception | None = None

    def pick(self, name: str, face_size: float) -> Entry:
        entry = self.entries()[0] if name in ("auto", "fake") else super().pick(name, face_size)
        return replace(entry, name="fake", side=64)

    def pull(
        self,
        name: str,
        accept_licence: bool = False,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> Entry:
        while not self.arrived.wait(0.005):
            on_progress(Progress(10, 100, "a fake source"))
        if self.failure is not None:
            raise self.failure
        return self.entry(name)


@dataclass
class FakeParts:
    """Opens fakes; `hold` keeps the bridge starting, `self_test_failure` makes it degraded."""

    detector: FakeDetector = field(default_factory=FakeDetector)
    engine: FakeEngine = field(default_factory=FakeEngine)
    checkpoints: FakeCheckpoints = field(init=False)
    hold: threading.Event = field(default_factory=threading.Event)
    self_test_failure: Exception | None = None
    closed: bool = False
    resident: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hold.set()

    def open(self, settings: Settings, places: Places) -> Parts:
        self.hold.wait()
        self.checkpoints = FakeCheckpoints(places.weights)
        tools = Tools(
            self.detector,  # type: ignore[arg-type]
            self.engine,
            self.checkpoints,
            min_face=settings.min_face,
            min_score=settings.min_score,
            max_megapixels=settings.max_megapixels,
        )
        return Parts(
            tools,
            self.checkpoints,
            "a fake device",
            dict,
            self._self_test,
            self._close,
            resident=lambda: self.resident,
        )

    def _self_test(self) -> None:
        if self.self_test_failure is not None:
            raise self.self_test_failure

    def _close(self) -> None:
        self.closed = True
