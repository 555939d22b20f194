"""Tiles cover a picture once, see their surroundings, and stop when told."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from bridge.errors import Cancelled
from bridge.imaging.image import FloatPixels
from bridge.imaging.tiles import Tile, map_tiles, tiles

SIDES = st.integers(1, 40)


@settings(max_examples=50)
@given(SIDES, SIDES, st.integers(1, 17))
def test_tiles_cover_every_pixel_once(height: int, width: int, side: int) -> None:
    covered = np.zeros((height, width), int)
    for tile in tiles(height, width, side):
        tile.of(covered)[...] += 1
    assert_array_equal(covered, 1)


@settings(max_examples=25)
@given(SIDES, SIDES, st.integers(5, 17), st.integers(0, 20), st.sampled_from([1, 4, 8]))
def test_surroundings_are_the_mirrored_picture(
    height: int, width: int, side: int, margin: int, multiple: int
) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    for tile in tiles(height, width, side):
        around = tile.surrounded(picture, margin, multiple)
        assert around.shape[0] % multiple == 0
        assert around.shape[1] % multiple == 0
        inside = Tile(margin, margin, margin + tile.height, margin + tile.width)
        assert_array_equal(inside.of(around), tile.of(picture))
    # A single tile of the whole picture is what NumPy's own mirroring gives.
    whole = Tile(0, 0, height, width).surrounded(picture, margin)
    assert_array_equal(whole, np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="reflect"))


@pytest.mark.parametrize(
    ("dtype", "expected"), [(np.uint8, [0, 3, 255]), (np.uint16, [0, 303, 65535]), (np.float32, None)]
)
def test_changes_are_added_rounded_and_clipped(dtype: type, expected: list[int] | None) -> None:
    white = 255 if dtype == np.uint8 else 65535
    start = np.array([[[1], [3 if dtype == np.uint8 else 303], [white - 1]]], dtype)
    change = np.array([[[-7.0], [0.4], [9.0]]], np.float32)
    result = map_tiles(lambda tile: tile.of(change), start, side=2)
    assert result.dtype == dtype
    assert_array_equal(
        result, start + change if expected is None else np.array(expected, dtype).reshape(1, 3, 1)
    )


def test_cancelled_before_the_next_tile() -> None:
    cancelled = threading.Event()
    seen: list[Tile] = []

    def change(tile: Tile) -> FloatPixels:
        seen.append(tile)
        cancelled.set()
        return np.zeros((tile.height, tile.width, 1), np.float32)

    with pytest.raises(Cancelled):
        map_tiles(change, np.zeros((64, 64, 1), np.uint8), side=4, threads=2, cancelled=cancelled)
    assert 1 <= len(seen) <= 2


def test_the_first_failure_is_raised() -> None:
    def change(tile: Tile) -> FloatPixels:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        map_tiles(change, np.zeros((9, 9, 3), np.uint8), side=4)
