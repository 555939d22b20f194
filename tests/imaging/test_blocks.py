from __future__ import annotations

import cv2
import numpy as np
import pytest

from bridge.imaging.blocks import BLOCK, COEFFICIENTS, FREQUENCY, STEP, coefficients, mean_square, overlaid


def plane(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).normal(100, 30, (height, width)).astype(np.float32)


def test_every_block_is_transformed_as_by_opencv() -> None:
    """As sets of numbers, which a frequency identifies but for its transpose."""
    pixels = plane(24, 36)
    found = coefficients(pixels)
    assert found.shape == (COEFFICIENTS, 24 // STEP - 1, 36 // STEP - 1)
    frequency = np.add.outer(np.arange(BLOCK), np.arange(BLOCK)).ravel()
    for row in range(found.shape[1]):
        for column in range(found.shape[2]):
            top, left = row * STEP, column * STEP
            expected = cv2.dct(np.ascontiguousarray(pixels[top : top + BLOCK, left : left + BLOCK])).ravel()
            for sum_of_both in range(2 * BLOCK - 1):
                np.testing.assert_allclose(
                    np.sort(found[sum_of_both == FREQUENCY, row, column]),
                    np.sort(expected[frequency == sum_of_both]),
                    atol=1e-3,
                )


@pytest.mark.parametrize("size", [(12, 16), (64, 64), (160, 144)])
def test_what_is_not_changed_comes_back(size: tuple[int, int]) -> None:
    pixels = plane(*size)
    back = overlaid(coefficients(pixels))
    inside = np.s_[STEP:-STEP, STEP:-STEP]
    np.testing.assert_allclose(back[inside], pixels[inside], atol=1e-3)
    back[inside] = 0
    assert not back.any()


def test_a_block_does_not_depend_on_how_many_there_are() -> None:
    """But for rounding; and one call gives what another does, bit for bit."""
    pixels = plane(320, 320)
    whole = coefficients(pixels)
    assert whole[0].size > 2 * 960
    part = coefficients(pixels[:160])
    np.testing.assert_allclose(part, whole[:, : part.shape[1]], atol=2e-4)
    np.testing.assert_array_equal(coefficients(pixels), whole)


def test_energy_is_averaged_in_its_own_coefficient_alone() -> None:
    values = np.zeros((COEFFICIENTS, 9, 9), np.float32)
    values[5, 4, 4] = 5
    energy = mean_square(values, 5)
    assert energy[5, 4, 4] == pytest.approx(1)
    assert energy[5, 2:7, 2:7].sum() == pytest.approx(25, rel=1e-5)
    assert np.count_nonzero(np.abs(energy) > 1e-6) == 25
