"""Sharpen makes edges crisper, and nothing else."""

from __future__ import annotations

import threading
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from skimage import data

from bridge.errors import Cancelled
from bridge.imaging.image import FULL_SCALE, Array, Pixels
from bridge.imaging.sharpen import HALO_WINDOW, OVERSHOOT, sharpen

ALL_DEPTHS = [np.uint8, np.uint16, np.float32]


def in_depth(picture: Array, dtype: type) -> Pixels:
    """0-255 of any kind -> uint8, uint16 or float32 at its own scale."""
    white = FULL_SCALE[np.dtype(dtype)]
    scaled = np.clip(picture / 255, 0, 1) * white
    return scaled.astype(dtype) if white == 1 else np.rint(scaled).astype(dtype)


def rms(a: Array, b: Array) -> float:
    return float(np.sqrt(np.mean((a.astype(np.float64) - b) ** 2)))


@pytest.fixture(scope="module")
def portrait() -> Pixels:
    face = data.astronaut()[:256, 90:346]
    return in_depth(face + np.random.default_rng(7).normal(0, 8, face.shape), np.uint8)


def test_zero_is_the_picture_itself(portrait: Pixels) -> None:
    assert sharpen(portrait, 0) is portrait


@pytest.mark.parametrize("dtype", ALL_DEPTHS)
def test_the_slider_does_more_and_more(portrait: Pixels, dtype: type) -> None:
    picture = in_depth(portrait, dtype)
    differences = [rms(sharpen(picture, amount), picture) for amount in range(0, 101, 10)]
    assert all(later > earlier for earlier, later in pairwise(differences))


@pytest.mark.parametrize("amount", [30, 50, 100])
@pytest.mark.parametrize("picture", [data.astronaut()[:300], data.chelsea(), data.coffee()[:, :300]])
def test_mean_brightness_stays(picture: Pixels, amount: int) -> None:
    assert abs(sharpen(picture, amount).mean() - picture.mean()) < 0.05


@pytest.mark.parametrize("low", [0, 40])
@pytest.mark.parametrize("high", [160, 255])
def test_no_halo_around_an_edge(low: int, high: int) -> None:
    soft = cv2.GaussianBlur(np.where(np.arange(96) < 48, low, high)[None].astype(float), (9, 1), 1.2)[0]
    edge = in_depth(np.broadcast_to(soft[None, :, None], (96, 96, 3)), np.float32)
    result = sharpen(edge, 100) * 255
    beyond = float(OVERSHOOT) * (high - low) + 0.01
    assert result.max() <= high + beyond
    assert result.min() >= low - beyond
    np.testing.assert_allclose(result[:, :30], low, atol=0.01)
    np.testing.assert_allclose(result[:, 66:], high, atol=0.01)
    if low > 0 and high < 255:
        assert np.diff(result[48, :, 0]).max() > 1.3 * np.diff(soft).max()


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 100), st.integers(1, 60), st.integers(1, 60))
def test_every_pixel_stays_near_its_surroundings(seed: int, amount: int, height: int, width: int) -> None:
    """The halo limit on gray pictures of any content."""
    gray = np.random.default_rng(seed).uniform(0, 1, (height, width, 1)).astype(np.float32) ** 3
    window = np.ones((HALO_WINDOW, HALO_WINDOW), np.uint8)
    darkest, brightest = (f(gray, window).reshape(gray.shape) for f in (cv2.erode, cv2.dilate))
    spare = OVERSHOOT * (brightest - darkest) + 1e-5
    result = sharpen(gray, amount)
    assert (result <= np.minimum(brightest + spare, 1)).all()
    assert (result >= np.maximum(darkest - spare, 0)).all()


def test_noise_is_left_alone_and_edges_are_not() -> None:
    generator = np.random.default_rng(5)
    true = np.where(np.arange(256) < 128, 70.0, 150.0)
    soft = cv2.GaussianBlur(np.tile(true, (256, 1)), (0, 0), 1.5)
    noisy = in_depth((soft + generator.normal(0, 6, soft.shape))[..., None], np.float32)
    result = sharpen(noisy, 100)
    assert result[:, :110].std() < 1.1 * noisy[:, :110].std()
    before, after = (np.diff(picture.mean(axis=(0, 2))).max() for picture in (noisy, result))
    assert after > 1.2 * before


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (1, 70), (65, 33)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ALL_DEPTHS)
def test_shape_and_depth_stay(shape: tuple[int, int], channels: int, dtype: type) -> None:
    picture = in_depth(np.random.default_rng(1).uniform(0, 255, (*shape, channels)), dtype)
    before = picture.copy()
    result = sharpen(picture, 60, tile=32)
    assert (result.shape, result.dtype) == (picture.shape, picture.dtype)
    assert np.isfinite(result).all()
    assert_array_equal(picture, before)


@pytest.mark.parametrize("dtype", ALL_DEPTHS)
@pytest.mark.parametrize("value", [0, 93, 255])
def test_one_flat_colour_stays(dtype: type, value: int) -> None:
    flat = in_depth(np.full((70, 90, 3), (value, value // 2, 20)), dtype)
    np.testing.assert_allclose(sharpen(flat, 100), flat, rtol=0, atol=1e-6)


def test_every_channel_gets_the_same_change(portrait: Pixels) -> None:
    picture = portrait.astype(np.float32) / 255
    change = sharpen(picture, 100) - picture
    np.testing.assert_allclose(change, np.repeat(change[..., :1], 3, axis=2), atol=1e-6)


@pytest.mark.parametrize("dtype", ALL_DEPTHS)
def test_gray_stays_gray(portrait: Pixels, dtype: type) -> None:
    result = sharpen(np.repeat(in_depth(portrait[..., 1:2], dtype), 3, axis=2), 80)
    assert_array_equal(result[..., 0], result[..., 1])
    assert_array_equal(result[..., 0], result[..., 2])


@pytest.mark.parametrize("tile", [7, 64])
def test_tiles_and_threads_leave_no_trace(portrait: Pixels, tile: int) -> None:
    picture = portrait[:101, :123].astype(np.float32) / 255
    whole = sharpen(picture, 100)
    np.testing.assert_allclose(sharpen(picture, 100, tile=tile), whole, rtol=0, atol=1e-5)
    assert_array_equal(
        sharpen(picture, 100, tile=tile, threads=1), sharpen(picture, 100, tile=tile, threads=4)
    )


def test_sixteen_bits_stay_sixteen() -> None:
    waves = 1500 * np.sin(np.arange(512) / 3) * (np.arange(512) > 128)
    ramp = np.rint(np.tile(np.linspace(20000, 24000, 512) + waves, (64, 1)))
    picture = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint16)
    result = sharpen(picture, 50)
    assert rms(result, picture) > 20
    assert len(np.unique(result % 257)) > 200


def test_cancelling(portrait: Pixels) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        sharpen(portrait, 50, cancelled=cancelled)
