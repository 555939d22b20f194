"""Sharpening of a whole picture: an unsharp mask on luminance that makes no halos.

Owns what is added to make edges crisper, and its limits; knows nothing of faces,
files or colour profiles (values are taken as they are encoded). R, G and B get the
same change, so hues stay and gray stays gray. docs/decisions/0002-sharpen.md has the
figures.
"""

from __future__ import annotations

import threading

import cv2
import numpy as np

from bridge.imaging.image import FULL_SCALE, FloatPixels, Pixels
from bridge.imaging.noise import TINY, calmest, mean_square, sample_patches, significance
from bridge.imaging.tiles import Tile, map_tiles

RADIUS = 1.0
"""Standard deviation of the mask's Gaussian in pixels: what a lens and a demosaicing blur."""

GAIN = 2.0
"""How often the mask is added at amount 100."""

ACTIVITY_WINDOW = 5
NOISE_OVERSUBTRACTION = np.float32(1.6)
"""Sharpening is weighed by how far the variance of luminance in 5 x 5 pixels is above 1.6 times that
of the noise: an edge shows there far better than in the mask, which is mostly noise itself."""

HALO_WINDOW = 5
OVERSHOOT = np.float32(0.05)
"""A result may leave the range of luminance in the 5 x 5 pixels around by 5 % of that range."""

BALANCE_WINDOW = 25
"""Brightening and darkening are made equal over as many rows and columns."""

LUMINANCE = np.array([[0.2126, 0.7152, 0.0722]], np.float32)
"""Weights of R, G and B, ITU-R BT.709."""

MARGIN = 20
"""How far a pixel's result looks: 4 by the Gaussian or the activity, and 12 by the balance, rounded up."""

TILE = 512
"""Side of a tile in pixels."""


def sharpen(
    colour: Pixels,
    amount: int,
    *,
    cancelled: threading.Event | None = None,
    threads: int | None = None,
    tile: int = TILE,
) -> Pixels:
    """Sharpen a whole picture.

    Args:
        colour: H x W x 1 or H x W x 3 (RGB), uint8, uint16 or float32, in the document's own
            (gamma-like) encoding. Not modified.
        amount: 0 to 100; at 100 the unsharp mask is added twice.
        cancelled: looked at before each tile.
        threads: how many tiles at once, None: one for each core. Does not change the result.
        tile: side of a tile in pixels. Changes the result by rounding at most.

    Returns:
        same shape and dtype; `colour` itself when `amount` is 0. Mean brightness stays; nothing
        leaves the range of dtype that was not outside before.

    Raises:
        Cancelled: `cancelled` was set.
    """
    if amount == 0:
        return colour
    floor = _calm_activity(colour) * NOISE_OVERSUBTRACTION
    gain = np.float32(GAIN * amount / 100)

    def change(part: Tile) -> FloatPixels:
        return _change(part, colour, floor, gain)

    return map_tiles(change, colour, side=tile, threads=threads, cancelled=cancelled)


def _calm_activity(colour: Pixels) -> np.float32:
    """The activity that noise alone makes."""
    means = [np.mean(_activity(_luminance(patch))) for patch in sample_patches(colour)]
    return np.float32(calmest([mean.reshape(1, 1) for mean in means])[0, 0])


def _activity(luminance: FloatPixels) -> FloatPixels:
    """The variance of luminance in the window around each pixel."""
    window = (ACTIVITY_WINDOW, ACTIVITY_WINDOW)
    mean = np.asarray(cv2.blur(luminance, window, borderType=cv2.BORDER_REFLECT_101), np.float32)
    return mean_square(luminance, ACTIVITY_WINDOW) - np.square(mean, out=mean)


def _change(part: Tile, colour: Pixels, floor: np.float32, gain: np.float32) -> FloatPixels:
    """What to add to each channel of one tile."""
    around = part.surrounded(colour, MARGIN)
    luminance = _luminance(around)
    change = significance(_activity(luminance), floor)
    change *= _mask(luminance)
    change *= gain
    _limit(change, luminance, around)
    change = _balanced(change)[MARGIN:, MARGIN:][: part.height, : part.width]
    return np.asarray(cv2.merge([change] * colour.shape[2]), np.float32)


def _luminance(colour: Pixels) -> FloatPixels:
    """H x W x C -> H x W."""
    if colour.shape[2] == 1:
        return colour[..., 0].astype(np.float32)
    return np.asarray(cv2.transform(colour.astype(np.float32), LUMINANCE), np.float32)


def _mask(luminance: FloatPixels) -> FloatPixels:
    """The unsharp mask: what a Gaussian blur takes away."""
    blurred = cv2.GaussianBlur(luminance, (0, 0), RADIUS, borderType=cv2.BORDER_REFLECT_101)
    return luminance - blurred


def _limit(change: FloatPixels, luminance: FloatPixels, colour: Pixels) -> None:
    """Bound `change` in place: no halo around edges, nothing beyond black or white."""
    window = np.ones((HALO_WINDOW, HALO_WINDOW), np.uint8)
    brightest = np.asarray(cv2.dilate(luminance, window), np.float32)
    darkest = np.asarray(cv2.erode(luminance, window), np.float32)
    spare = (brightest - darkest) * OVERSHOOT
    brightest += spare
    brightest -= luminance
    darkest -= spare
    darkest -= luminance
    channels = cv2.split(colour)
    highest, lowest = channels[0], channels[0]
    for channel in channels[1:]:
        highest, lowest = cv2.max(highest, channel), cv2.min(lowest, channel)
    to_white = FULL_SCALE[colour.dtype] - highest.astype(np.float32)
    to_black = -lowest.astype(np.float32)
    np.minimum(brightest, np.maximum(to_white, 0), out=brightest)
    np.maximum(darkest, np.minimum(to_black, 0), out=darkest)
    np.minimum(change, brightest, out=change)
    np.maximum(change, darkest, out=change)


def _balanced(change: FloatPixels) -> FloatPixels:
    """`change` with its brightening or its darkening reduced until, nearby, both are the same.

    Limits cut off more on one side of an edge than on the other; adding a constant instead
    would reach into flat areas and past the limits.
    """
    window = (BALANCE_WINDOW, BALANCE_WINDOW)
    brighter = np.maximum(change, 0)
    darker = brighter - change
    gained = np.asarray(cv2.blur(brighter, window, borderType=cv2.BORDER_REFLECT_101), np.float32)
    lost = np.asarray(cv2.blur(darker, window, borderType=cv2.BORDER_REFLECT_101), np.float32)
    even = np.minimum(gained, lost)
    brighter *= even / (gained + TINY)
    darker *= even / (lost + TINY)
    return np.subtract(brighter, darker, out=brighter)
