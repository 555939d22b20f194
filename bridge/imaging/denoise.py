"""Noise reduction of a whole picture: chroma before luma, edges and texture kept.

Owns how noise looks in blocks and how it is taken out of them; knows nothing of faces, files or
colour profiles (values are taken as they are encoded, where noise is about equally
strong in shadows and highlights).

Overlapping 8 x 8 blocks go through the discrete cosine transform, where each
coefficient is weighed by how far its energy, averaged over the neighbouring blocks,
stands above the noise (empirical Wiener shrinkage; sliding DCT after Yaroslavsky,
1996, neighbourhood energy after Cai and Silverman, Sankhya B 63, 2001). Luma is
filtered at full resolution, chroma at half, where the eye sees no difference; what
is finer in chroma passes only where it stands above the noise too.
docs/decisions/0001-denoise.md has the figures.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np

from bridge.imaging.blocks import COEFFICIENTS, FREQUENCY, STEP, coefficients, mean_square, overlaid
from bridge.imaging.image import FloatPixels, Pixels
from bridge.imaging.noise import above, calmest, sample_patches, significance
from bridge.imaging.tiles import Tile, map_tiles

NEIGHBOURS = 5
"""A coefficient's energy is averaged over as many blocks in each direction."""

OVERSUBTRACTION = np.float32(1.4)
"""Noise energy is taken this much larger than measured: an average of few squares scatters."""

FINE_CHROMA_WINDOW = 7
FINE_CHROMA_OVERSUBTRACTION = np.float32(2.0)
"""Chroma finer than half resolution: window of its energy in pixels, and how sceptical we are."""

MARGIN = 40
"""How far a pixel's result looks, in pixels: 16 (15 by blocks) at half resolution, 2 more by the cubic
enlargement, doubled, and rounded up so that every tile's blocks lie on the picture's own grid."""

NEAR_MARGIN = 16
"""The same for what is filtered at full resolution: luma, and the fine part of chroma."""

GRID = 2 * STEP
"""Tiles begin at multiples of this, so that all agree on where blocks lie."""

TILE = 512
"""Side of a tile: its coefficients (4 values a pixel) stay in the processor's outer cache."""

TO_OPPONENT = np.array([[1 / 3, 1 / 3, 1 / 3], [1, 0, -1], [1, -2, 1]], np.float32)
"""RGB -> luma and two chromas: white noise stays independent, and gray has chroma of exactly 0."""

FROM_OPPONENT = np.array([[1, 1 / 2, 1 / 6], [1, 0, -1 / 3], [1, -1 / 2, 1 / 6]], np.float32)
"""Its inverse; luma reaches R, G and B with the same weight, exactly."""


COARSE, FINE = 3, 8
COLOURED_NOISE = 4.0
"""What is measured at u + v below 3 may be shading, and up to 7 texture: noise there is taken to have at
most the variance found at 3, and at most four times that found from 8 up (in demosaiced or
compressed photos it is stronger there; in clean ones texture would pass for noise)."""

MEDIAN_OF_SQUARE = 0.4549
"""The median of the square of a normal variable of variance 1."""


@dataclass(frozen=True)
class Noise:
    """How strong the noise is, in squares of pixel values.

    Attributes:
        blocks: planes x 64: variance of each DCT coefficient, planes luma, chroma, chroma (luma alone for
            one channel); noise that a camera or JPEG has smoothed is weaker at high frequencies.
        fine_chroma: two, or none: variance of the chromas' part that is finer than half resolution.
    """

    blocks: FloatPixels
    fine_chroma: FloatPixels


def denoise(
    colour: Pixels,
    amount: int,
    *,
    cancelled: threading.Event | None = None,
    threads: int | None = None,
    tile: int = TILE,
) -> Pixels:
    """Reduce the noise of a whole picture.

    Args:
        colour: H x W x 1 or H x W x 3 (RGB), uint8, uint16 or float32, in the document's own
            (gamma-like) encoding. Not modified.
        amount: 0 to 100; the share of the luma noise that is taken away. Chroma noise goes first: 66 % of
            it at amount 30, 97 % at 70.
        cancelled: looked at before each tile.
        threads: how many tiles at once, None: one for each core. Does not change the result.
        tile: side of a tile in pixels, a multiple of 8. Changes the result by rounding at most.

    Returns:
        same shape and dtype; `colour` itself when `amount` is 0. R = G = B stays so exactly.

    Raises:
        Cancelled: `cancelled` was set.
    """
    if amount == 0:
        return colour
    noise = measure_noise(colour)
    luma_share = amount / 100
    chroma_share = 1 - (1 - luma_share) ** 3
    mixing = np.array([[luma_share]], np.float32)
    if colour.shape[2] == 3:
        mixing = FROM_OPPONENT * np.array([luma_share, chroma_share, chroma_share], np.float32)

    def change(part: Tile) -> FloatPixels:
        return _change(part, colour, noise, mixing)

    return map_tiles(change, colour, side=tile, threads=threads, cancelled=cancelled)


# --- measuring the noise -------------------------------------------------------


def measure_noise(colour: Pixels) -> Noise:
    """How strong the noise of a picture is, from its calm patches; the same on every call.

    Args:
        colour: as for `denoise`.
    """
    planes = [_split(patch) for patch in sample_patches(colour)]
    fine: list[FloatPixels] = []
    halves: list[list[FloatPixels]] = []
    for _, chromas in planes:
        small = [_halved(chroma) for chroma in chromas]
        details = [chroma - _doubled(half) for chroma, half in zip(chromas, small, strict=True)]
        fine.append(np.array([np.mean(np.square(detail)) for detail in details], np.float32).reshape(-1, 1))
        halves.append(small)
    kinds = [[luma for luma, _ in planes], *map(list, zip(*halves, strict=True))]
    blocks = np.stack([_variances(kind) for kind in kinds], axis=1)
    return Noise(blocks=calmest(list(blocks)), fine_chroma=calmest(fine)[:, 0])


def _variances(patches: list[FloatPixels]) -> FloatPixels:
    """Patches x 64: the noise variance of each coefficient, if a patch were noise and little else.

    The median over the blocks overlooks the few that hold an edge. A picture's own energy falls
    steeply with frequency and a noise's hardly does, so the coarse coefficients are given no more
    than finer ones suggest.
    """
    # One below the other, all at once; blocks that do not overlap do not straddle two of them either.
    apart = coefficients(np.concatenate(patches))[:, ::2, ::2]
    each = np.square(apart).reshape(COEFFICIENTS, len(patches), -1)
    energy = np.median(each, axis=2).T / np.float32(MEDIAN_OF_SQUARE)
    coarse, fine = energy[:, FREQUENCY == COARSE], energy[:, FREQUENCY >= FINE]
    at_most = np.where(FREQUENCY < COARSE, coarse.mean(axis=1, keepdims=True), np.inf)
    at_most = np.minimum(at_most, fine.mean(axis=1, keepdims=True) * COLOURED_NOISE)
    variances: FloatPixels = np.minimum(energy, at_most).astype(np.float32)
    return variances


# --- filtering -----------------------------------------------------------------


def _change(part: Tile, colour: Pixels, noise: Noise, mixing: FloatPixels) -> FloatPixels:
    """What to add to one tile; `mixing` makes R, G and B of what is wrong with luma and the chromas."""
    luma, chromas = _split(part.surrounded(colour, MARGIN, GRID))
    luma = _inner(luma, MARGIN - NEAR_MARGIN)
    changes = [_shrunk(luma, noise.blocks[0]) - luma]
    fine_floor = noise.fine_chroma * FINE_CHROMA_OVERSUBTRACTION
    for chroma, variances, floor in zip(chromas, noise.blocks[1:], fine_floor, strict=True):
        coarse = _halved(chroma)
        coarse_change = _shrunk(coarse, variances) - coarse
        near, coarse, coarse_change = (
            _inner(chroma, MARGIN - NEAR_MARGIN),
            _inner(coarse, (MARGIN - NEAR_MARGIN) // 2),
            _inner(coarse_change, (MARGIN - NEAR_MARGIN) // 2),
        )
        fine = near - _doubled(coarse)
        changes.append(above(fine, floor, FINE_CHROMA_WINDOW) - fine + _doubled(coarse_change))
    tile = slice(NEAR_MARGIN, NEAR_MARGIN + part.height), slice(NEAR_MARGIN, NEAR_MARGIN + part.width)
    opponents = cv2.merge([change[tile] for change in changes])
    return np.asarray(cv2.transform(opponents, mixing), np.float32)


def _inner(plane: FloatPixels, margin: int) -> FloatPixels:
    return plane[margin:-margin, margin:-margin]


def _split(colour: Pixels) -> tuple[FloatPixels, list[FloatPixels]]:
    """H x W x C -> luma, and no or two chromas; H x W float32 each."""
    if colour.shape[2] == 1:
        return colour[..., 0].astype(np.float32), []
    luma, *chromas = cv2.split(cv2.transform(colour.astype(np.float32), TO_OPPONENT))
    return np.asarray(luma, np.float32), [np.asarray(chroma, np.float32) for chroma in chromas]


def _halved(plane: FloatPixels) -> FloatPixels:
    return np.asarray(cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.float32)


def _doubled(plane: FloatPixels) -> FloatPixels:
    return np.asarray(cv2.resize(plane, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.float32)


def _shrunk(plane: FloatPixels, variances: FloatPixels) -> FloatPixels:
    """H x W, multiples of 4, without the noise whose coefficients have these 64 variances.

    Right everywhere but in a border of 16 pixels, whose blocks lack neighbours.
    """
    values = coefficients(plane)
    floor = variances * OVERSUBTRACTION
    floor[0] = 0  # a block's mean is left to itself
    values *= significance(mean_square(values, NEIGHBOURS), floor[:, None, None])
    return overlaid(values)
