"""A guess at how good a face is in a photo, and the preset that suits it.

Two plain measures on the aligned crop, read together; a guess for the user to look
at, never a decision. Knows nothing of networks or the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from bridge.faces.bands import LUMA, is_toned
from bridge.imaging.image import FloatPixels

Grade = Literal["good", "soft", "poor"]

BLURRED, CRISP = 0.2, 0.5
"""Raw measure of a face blurred beyond use and of a crisp one: the ends of the scale."""
GOOD, SOFT = 0.75, 0.45
"""Sharpness from which a face counts as good, and as soft. Medians over 60 portraits on 256-pixel
crops: clean 0.98, lightly blurred 0.84, at half the resolution 0.63, at a third 0.25."""
NOISY = 0.02
"""Noise, of full scale, from which a face counts as poor (5 of 255)."""
LARGE = 600
"""Pixels from which a sharp face is one of a large camera."""


@dataclass(frozen=True)
class Quality:
    """What can be said about one face.

    Attributes:
        sharpness: 0 (blurred beyond use) to 1 (crisp), after Crete et al. 2007,
            doi:10.1117/12.702790: how much a blur takes away that was still there.
        noise: standard deviation of luma noise, of full scale.
        grade: good, soft or poor.
        preset: the built-in preset that suits it.
    """

    sharpness: float
    noise: float
    grade: Grade
    preset: str


def judge(crop: FloatPixels, face_size: float) -> Quality:
    """Judge one face.

    Args:
        crop: S x S x 3 float32, sRGB-encoded, 0-1, aligned.
        face_size: the smaller side of the face in pixels of the photo.
    """
    luma = np.asarray(crop @ LUMA, np.float32)
    noise = _noise(luma)
    # Noise would pass for sharpness: look at what is left above it.
    quiet = cv2.GaussianBlur(luma, (0, 0), 0.4 + min(1.2, 40 * noise))
    sharpness = _sharpness(np.asarray(quiet, np.float32))
    grade: Grade = "good" if sharpness >= GOOD else "soft" if sharpness >= SOFT else "poor"
    if noise > NOISY:
        grade = "poor"
    if is_toned(crop):
        preset = "old-photo"
    elif grade == "poor":
        preset = "phone"
    else:
        preset = "dslr" if grade == "good" and face_size >= LARGE else "default"
    return Quality(sharpness, noise, grade, preset)


def _noise(luma: FloatPixels) -> float:
    """Standard deviation of white noise: median deviation of the finest diagonal differences."""
    even, odd = luma[: len(luma) // 2 * 2 : 2], luma[1::2]
    width = luma.shape[1] // 2 * 2
    diagonal = (even[:, 0:width:2] - odd[:, 0:width:2] - even[:, 1:width:2] + odd[:, 1:width:2]) / 2
    return 1.4826 * float(np.median(np.abs(diagonal)))


def _sharpness(luma: FloatPixels) -> float:
    """Share of the gradient that a 9-tap mean takes away, 0-1 on the scale BLURRED to CRISP."""
    lost = []
    for axis, kernel in ((0, (1, 9)), (1, (9, 1))):
        gradient = np.abs(np.diff(luma, axis=axis))
        blurred = np.abs(np.diff(cv2.blur(luma, kernel), axis=axis))
        lost.append(float(np.maximum(0, gradient - blurred).sum()) / max(float(gradient.sum()), 1e-6))
    return float(np.clip((min(lost) - BLURRED) / (CRISP - BLURRED), 0.0, 1.0))
