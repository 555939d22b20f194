from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.quality.measures import gradient_similarity, psnr


def picture() -> np.ndarray:
    noise = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.5))


def test_psnr_is_that_of_the_error_put_in() -> None:
    assert psnr(picture(), picture() + np.float32(0.1)) == pytest.approx(20, abs=0.01)
    assert psnr(picture(), picture()) == 99


def test_gradients_are_alike_for_equals_and_less_the_softer_it_gets() -> None:
    scores = [gradient_similarity(picture(), picture())]
    scores += [
        gradient_similarity(picture(), cv2.GaussianBlur(picture(), (0, 0), sigma)) for sigma in (1, 2, 4)
    ]
    assert scores[0] == pytest.approx(1)
    assert scores == sorted(scores, reverse=True)


def test_a_shift_of_brightness_leaves_gradients_alike() -> None:
    assert gradient_similarity(picture(), picture() + np.float32(0.2)) == pytest.approx(1, abs=1e-4)
