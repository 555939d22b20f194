from __future__ import annotations

import cv2
import numpy as np
import pytest

from bridge.faces.align import align
from bridge.faces.detect import Detector
from bridge.faces.quality import judge
from bridge.imaging.image import Image


@pytest.fixture(scope="module")
def crop(portrait: np.ndarray) -> np.ndarray:
    """The portrait's face as its 90 pixels really are: crisp on a small crop."""
    face = Detector().detect(Image(portrait))[0]
    return align(portrait, face, "ffhq_512", 128).pixels


def test_blur_lowers_sharpness_and_grade(crop: np.ndarray) -> None:
    judged = [judge(cv2.GaussianBlur(crop, (0, 0), sigma), 300) for sigma in (0.1, 1.0, 2.0, 4.0)]
    sharpness = [quality.sharpness for quality in judged]
    assert sharpness == sorted(sharpness, reverse=True)
    assert judged[0].grade == "good"
    assert judged[-1].grade == "poor"


@pytest.mark.parametrize("sigma", [0.01, 0.03, 0.06])
def test_noise_is_measured(crop: np.ndarray, sigma: float) -> None:
    noisy = crop + np.random.default_rng(0).normal(0, sigma, (*crop.shape[:2], 1)).astype(np.float32)
    own = judge(crop, 300).noise
    assert judge(noisy, 300).noise == pytest.approx(np.hypot(sigma, own), rel=0.3)
    assert judge(noisy, 300).grade == "poor" or sigma < 0.02


def test_the_preset_follows_from_what_is_seen(crop: np.ndarray) -> None:
    gray = np.repeat(crop.mean(axis=2, keepdims=True), 3, axis=2)
    assert judge(gray, 300).preset == "old-photo"
    assert judge(crop, 300).preset == "default"
    assert judge(crop, 900).preset == "dslr"
    assert judge(cv2.GaussianBlur(crop, (0, 0), 4), 900).preset == "phone"
