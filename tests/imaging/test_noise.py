"""Noise is measured where the picture is calm."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.imaging.noise import above, calmest, sample_patches


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 2, 1), (63, 500, 3), (700, 90, 3), (2000, 1500, 1)])
def test_patches_are_whole_and_few(shape: tuple[int, int, int]) -> None:
    patches = sample_patches(np.full(shape, 128, np.uint8))
    assert 1 <= len(patches) <= 256
    assert {patch.shape for patch in patches} == {(64, 64, shape[2])}


def test_clipped_patches_count_only_when_there_are_no_others() -> None:
    picture = np.full((64, 128, 3), 255, np.uint8)
    assert len(sample_patches(picture)) == 2
    picture[:, 64:] = 100
    (patch,) = sample_patches(picture)
    assert patch.max() == 100


def test_calmest_looks_at_each_plane_by_itself() -> None:
    energies = [np.array([[1 + k], [20 - k]], np.float32) for k in range(10)]
    assert calmest(energies).tolist() == [[1], [11]]


def test_above_keeps_what_is_strong_and_drops_noise() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(0, 1, (200, 200)).astype(np.float32)
    assert above(noise, np.float32(2), 7).std() < 0.05
    strong = noise * 30
    np.testing.assert_allclose(above(strong, np.float32(2), 7), strong, rtol=0.01)
    np.testing.assert_array_equal(above(noise, np.float32(0), 7), noise)
