"""Denoise takes the noise and leaves the picture."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from skimage import data

from bridge.errors import Cancelled
from bridge.imaging.denoise import denoise, measure_noise
from bridge.imaging.image import FULL_SCALE, Array, Pixels

ALL_DEPTHS = [np.uint8, np.uint16, np.float32]


def in_depth(picture: Array, dtype: type) -> Pixels:
    """0-255 of any kind -> uint8, uint16 or float32 at its own scale."""
    white = FULL_SCALE[np.dtype(dtype)]
    scaled = np.clip(picture / 255, 0, 1) * white
    return scaled.astype(dtype) if white == 1 else np.rint(scaled).astype(dtype)


def with_noise(picture: Array, sigma: float) -> Array:
    return picture + np.random.default_rng(7).normal(0, sigma, picture.shape)


def rms(a: Array, b: Array) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.fixture(scope="module")
def clean() -> Array:
    """A face of 128 x 128 pixels whose own grain an area average has taken, and a sharp dark edge."""
    face = data.astronaut()[:256, 90:346].astype(np.float64).reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))
    face[:, 96:] = face[:, 96:].mean(axis=(0, 1)) * 0.2
    face[:, 110:] = 200
    return face


@pytest.fixture(scope="module")
def portrait(clean: Array) -> Pixels:
    return in_depth(with_noise(clean, 10), np.uint8)


def test_zero_is_the_picture_itself(portrait: Pixels) -> None:
    assert denoise(portrait, 0) is portrait


@pytest.mark.parametrize("dtype", ALL_DEPTHS)
def test_the_slider_does_more_and_more(clean: Array, dtype: type) -> None:
    noisy = in_depth(with_noise(clean, 10), dtype)
    differences = [rms(denoise(noisy, amount), noisy) for amount in range(0, 101, 10)]
    assert all(later > earlier for earlier, later in pairwise(differences))


@pytest.mark.parametrize(("sigma", "gain"), [(5, 3.5), (10, 5.5), (20, 7.5)])
def test_it_comes_nearer_to_the_clean_picture(clean: Array, sigma: float, gain: float) -> None:
    noisy = in_depth(with_noise(clean, sigma), np.uint8)
    decibels = 20 * np.log10(rms(noisy, clean) / rms(denoise(noisy, 90), clean))
    assert decibels > gain


def test_chroma_goes_before_luma(clean: Array, portrait: Pixels) -> None:
    def parts(picture: Array) -> tuple[Array, Array]:
        luma = picture.astype(np.float64).mean(axis=2, keepdims=True)
        return luma, picture - luma

    (luma, chroma), (true_luma, true_chroma) = parts(denoise(portrait, 30)), parts(clean)
    luma_before, chroma_before = parts(portrait)
    assert rms(chroma, true_chroma) < 0.5 * rms(chroma_before, true_chroma)
    assert 0.6 < rms(luma, true_luma) / rms(luma_before, true_luma) < 0.9


def test_a_clean_picture_stays(clean: Array) -> None:
    sharp = in_depth(clean, np.uint8)
    assert rms(denoise(sharp, 30), sharp) < 0.75


def test_edges_and_strong_texture_stay_where_there_is_noise() -> None:
    """A step of 120 keeps its slope and a weave its contrast, next to noise of 8."""
    columns = np.arange(256)
    true = np.where(columns < 128, 60.0, 180.0) + 25 * np.sin(columns * 1.9) * (columns > 190)
    true = np.broadcast_to(true[None, :, None], (256, 256, 3))
    result = denoise(in_depth(with_noise(true, 8), np.uint8), 100).astype(np.float64).mean(axis=(0, 2))
    assert result[128] - result[127] > 0.95 * 120
    assert result[200:].std() > 0.9 * true[0, 200:, 0].std()


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (1, 70), (65, 33), (130, 129)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ALL_DEPTHS)
def test_shape_and_depth_stay(shape: tuple[int, int], channels: int, dtype: type) -> None:
    picture = in_depth(np.random.default_rng(1).uniform(0, 255, (*shape, channels)), dtype)
    before = picture.copy()
    result = denoise(picture, 60, tile=64)
    assert (result.shape, result.dtype) == (picture.shape, picture.dtype)
    assert np.isfinite(result).all()
    assert_array_equal(picture, before)


@pytest.mark.parametrize("dtype", ALL_DEPTHS)
@pytest.mark.parametrize("value", [0, 93, 255])
def test_one_flat_colour_stays(dtype: type, value: int) -> None:
    flat = in_depth(np.full((70, 90, 3), (value, value // 2, 20)), dtype)
    np.testing.assert_allclose(denoise(flat, 100), flat, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", ALL_DEPTHS)
def test_gray_stays_gray_and_is_filtered_as_gray(portrait: Pixels, dtype: type) -> None:
    gray = in_depth(portrait[..., 1:2], dtype)
    result = denoise(np.repeat(gray, 3, axis=2), 80)
    assert_array_equal(result[..., 0], result[..., 1])
    assert_array_equal(result[..., 0], result[..., 2])
    np.testing.assert_allclose(
        result[..., :1] / FULL_SCALE[gray.dtype], denoise(gray, 80) / FULL_SCALE[gray.dtype], atol=1 / 255
    )


@pytest.mark.parametrize("tile", [8, 40, 64])
def test_tiles_leave_no_trace(portrait: Pixels, tile: int) -> None:
    noisy = portrait[:101, :123].astype(np.float32) / 255
    np.testing.assert_allclose(denoise(noisy, 100, tile=tile), denoise(noisy, 100), rtol=0, atol=1e-5)


def test_the_number_of_threads_changes_nothing(portrait: Pixels) -> None:
    fine = portrait.astype(np.float32) / 255
    assert_array_equal(denoise(fine, 50, tile=32, threads=1), denoise(fine, 50, tile=32, threads=4))


def test_sixteen_bits_stay_sixteen() -> None:
    ramp = np.linspace(20000, 24000, 512)[None, :, None]
    noisy = np.rint(np.random.default_rng(3).normal(ramp, 300, (64, 512, 3))).astype(np.uint16)
    result = denoise(noisy, 100)
    assert len(np.unique(result)) > 1000
    assert abs(result.mean() - noisy.mean()) < 1
    assert rms(result, np.broadcast_to(ramp, result.shape)) < 80


@pytest.mark.parametrize("sigma", [2, 10, 20])
def test_the_noise_is_measured_rightly(clean: Array, sigma: float) -> None:
    grown = np.kron(clean, np.ones((4, 4, 1)))  # flat enough that all there is to find is noise
    noise = measure_noise(with_noise(grown, sigma).astype(np.float32) / 255)
    luma, *chromas = np.sqrt(noise.blocks.mean(axis=1)) * 255
    assert luma == pytest.approx(sigma / np.sqrt(3), rel=0.15)
    assert chromas == pytest.approx([sigma * np.sqrt(2) / 2, sigma * np.sqrt(6) / 2], rel=0.15)


def test_cancelling(portrait: Pixels) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        denoise(portrait, 50, cancelled=cancelled)
