"""Photos of any size, with faces and grain: what the rows are measured on."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from bridge.imaging.image import Image
from bridge.imaging.profiles import named_profile

GRAIN = 2.0
"""Spread of the grain, of 255: a photo without any would compress far too well."""
TILE = 512


def portrait(megapixels: float, depth: Literal[8, 16]) -> Image:
    """One person, 3:2; 8 bits in sRGB, 16 bits in ProPhoto RGB."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    return _photo(
        cv2.resize(_person()[:342], (round(height * 1.5), height), interpolation=cv2.INTER_CUBIC), depth
    )


def group(megapixels: float, people: int) -> Image:
    """So many people in rows, 3:2, each in a cell of the same size however many there are; 8 bits, sRGB."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    scene = np.full((height, round(height * 1.5), 3), 118, np.uint8)
    cell = height // 9
    bust = cv2.resize(_person()[:280, 90:370], (cell - 8, cell - 8), interpolation=cv2.INTER_AREA)
    for index in range(people):
        top, left = index // 12 * cell + 4, index % 12 * cell + 4
        scene[top : top + cell - 8, left : left + cell - 8] = bust
    return _photo(scene, 8)


def _person() -> NDArray[np.uint8]:
    import skimage.data

    astronaut: NDArray[np.uint8] = skimage.data.astronaut()
    return astronaut


def _photo(pixels: NDArray[np.generic], depth: Literal[8, 16]) -> Image:
    """Pixels of 8 bits with grain, at the depth asked for."""
    height, width = pixels.shape[:2]
    grain = np.random.default_rng(0).normal(0, 1, (TILE, TILE)).astype(np.float32)
    grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), 0.7), np.float32)
    grain *= np.float32(GRAIN) / grain.std()
    over = np.tile(grain, (-(-height // TILE), -(-width // TILE)))[:height, :width, None]
    values = np.clip(pixels.astype(np.float32) + over, 0, 255)
    if depth == 8:
        return Image(np.rint(values).astype(np.uint8))
    return Image(np.rint(values * 257).astype(np.uint16), named_profile("ProPhoto RGB"))
