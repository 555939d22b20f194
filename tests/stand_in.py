"""What stands in for networks and checkpoints when the pipeline itself is looked at, and pictures for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from bridge.checkpoints import Entry, Licence
from bridge.faces.align import TEMPLATES
from bridge.faces.detect import Detector
from bridge.faces.face import Face
from bridge.imaging.image import Image
from bridge.pipeline import Tools
from bridge.presets import Mode, Parameters

LICENCE = Licence("test", "Test", "None.", consent=False, commercial=True)
ENTRY = Entry(
    name="stand-in",
    title="Stand-in",
    summary="Not a network.",
    files=("stand-in.safetensors",),
    licence=LICENCE,
    side=64,
    template="ffhq_512",
    crop_border="reflect",
    face_share=0.53,
    sha256="0" * 64,
)
FACES_ALONE = Parameters(strength=100, denoise=0, sharpen=0, mode=Mode.strong)


@dataclass
class StandIn:
    """A network of a few lines: it smooths, brightens and warms every crop."""

    passes: list[int] = field(default_factory=list)
    after_pass: Any = None

    def restore(
        self, checkpoint: str, crops: np.ndarray, *, urgent: bool = True, cancelled: Any = None
    ) -> np.ndarray:
        assert crops.dtype == np.float32
        assert crops.min() >= 0
        assert crops.max() <= 1
        self.passes.append(len(crops))
        if self.after_pass:
            self.after_pass()
        smooth = np.stack([cv2.GaussianBlur(crop, (0, 0), 1.5) for crop in crops])
        return smooth * np.float32(0.9) + np.float32([0.09, 0.05, 0.02])


@dataclass
class OneCheckpoint:
    entry: Entry = ENTRY

    def pick(self, name: str, face_size: float) -> Entry:
        return self.entry


class NoDetector(Detector):
    def detect(self, image: Image, *, min_size: float = 24, min_score: float = 0.6) -> list[Face]:
        raise AssertionError("the faces were given: nothing is to be detected")


def tools(engine: StandIn | None = None, detector: Detector | None = None) -> Tools:
    return Tools(detector or NoDetector(), engine or StandIn(), OneCheckpoint())


def face(x: float, y: float, size: float, strength: int | None = None, angle: float = 0.0) -> Face:
    """A face of `size` pixels around (x, y), turned by `angle` radians."""
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = (TEMPLATES["ffhq_512"] - TEMPLATES["ffhq_512"].mean(axis=0)) @ turn * size + (x, y)
    return Face((x - size / 2, y - size / 2, x + size / 2, y + size / 2), points, strength=strength)


def noise(height: int, width: int, channels: int, dtype: type, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random((height, width, channels))
    values = cv2.GaussianBlur(values, (0, 0), 1.0).reshape(height, width, channels)
    return (values * {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]).astype(dtype)
