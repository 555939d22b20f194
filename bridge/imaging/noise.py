"""Noise: where in a picture it can be measured, and what stands above it.

Shared by the filters that must tell noise from detail; knows neither of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from bridge.imaging.image import FULL_SCALE, FloatPixels, Pixels
from bridge.imaging.tiles import Tile, tiles

PATCH = 64
PATCHES = 256
CALM_PERCENT = 10
"""Noise is measured in the calmest tenth of at most 256 patches of 64 x 64 pixels."""

CLIPPED_SHARE = 0.01
"""A patch where more values than this are black or white does not count: clipping hides noise."""

TINY = np.float32(1e-20)
"""Keeps 0 / 0 at 0."""


def sample_patches(colour: Pixels) -> list[Pixels]:
    """Patches of 64 x 64 x C spread evenly over H x W x C; always the same ones, views where possible.

    Those with clipped pixels are left out as long as others remain. A smaller picture is
    mirrored until it fills one.
    """
    height, width = colour.shape[:2]
    white = FULL_SCALE[colour.dtype]
    grid = tiles(height, width, PATCH)
    patches: list[Pixels] = []
    for corner in grid[:: -(-len(grid) // PATCHES)]:
        top = min(corner.top, max(height - PATCH, 0))
        left = min(corner.left, max(width - PATCH, 0))
        patches.append(Tile(top, left, top + PATCH, left + PATCH).surrounded(colour, 0))
    clipped = [np.count_nonzero((patch <= 0) | (patch >= white)) / patch.size for patch in patches]
    open_ones = [p for p, share in zip(patches, clipped, strict=True) if share <= CLIPPED_SHARE]
    return open_ones or patches


def calmest(energies: Sequence[FloatPixels]) -> FloatPixels:
    """The noise's energy, from the energy measured in each patch.

    Args:
        energies: planes x values for each patch, at least one.

    Returns:
        planes x values: for each plane the mean over the tenth of the patches where its
        values add up to least.
    """
    patches = np.stack(energies)
    count = -(-len(patches) * CALM_PERCENT // 100)
    ranks = np.argsort(patches.sum(axis=2), axis=0, kind="stable")[:count]
    calm: FloatPixels = np.take_along_axis(patches, ranks[..., None], axis=0).mean(axis=0, dtype=np.float32)
    return calm


def above(values: FloatPixels, floor: FloatPixels | np.float32, window: int) -> FloatPixels:
    """What of `values` stands above noise of a given energy.

    Each value is weighed by the significance of the mean square in the window around it.

    Args:
        values: H x W or H x W x C, float32, mean 0 nearby. Not modified.
        floor: C (or a single number): the noise's mean square.
        window: side of the window in rows and columns.
    """
    kept = significance(mean_square(values, window), floor)
    return np.multiply(kept, values, out=kept)


def mean_square(values: FloatPixels, window: int) -> FloatPixels:
    """Mean of the squares in a window around each of H x W (x C) values."""
    squares = np.square(values)
    cv2.blur(squares, (window, window), squares, borderType=cv2.BORDER_REFLECT_101)
    return squares


def significance(energy: FloatPixels, floor: FloatPixels | np.float32) -> FloatPixels:
    """0 to 1: the share of `energy` (modified: becomes the result) that is above `floor`, which broadcasts.

    1 - floor / energy where that is positive: the empirical Wiener filter of Lee, PAMI 1980,
    doi:10.1109/TPAMI.1980.4766994.
    """
    floor = floor + TINY
    if floor.ndim < energy.ndim:
        floor = np.full(energy.shape[-1], floor)  # a row: four times faster than a number in NumPy 2
    np.maximum(energy, floor, out=energy)
    np.divide(floor, energy, out=energy)
    return np.subtract(1, energy, out=energy)
