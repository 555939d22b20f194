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
from numpy.lib.stride_tricks import as_strided

from bridge.imaging.image import FloatPixels, Pixels
from bridge.imaging.noise import above, calmest, sample_patches
from bridge.imaging.tiles import Tile, map_tiles

BLOCK = 8
"""Side of a transform block in pixels."""

STEP = 4
"""Distance of neighbouring blocks: each pixel lies in four of them."""

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


def _block_basis() -> FloatPixels:
    """64 x 64: a block's pixels (ordered as of `_coefficients`) -> its DCT-II coefficients, orthonormal."""
    n = np.arange(BLOCK)
    cosine = np.cos(np.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    cosine[0] /= np.sqrt(2)
    both = np.einsum("uy,vx->yxuv", cosine, cosine)
    quads = both.reshape(2, STEP, 2, STEP, BLOCK * BLOCK).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(quads.reshape(BLOCK * BLOCK, BLOCK * BLOCK), np.float32)


FORWARD = _block_basis()
BACKWARD = np.ascontiguousarray(FORWARD.T)

FREQUENCY = np.add.outer(np.arange(BLOCK), np.arange(BLOCK)).ravel()
"""u + v of each coefficient, in the order of the basis: 0 to 14."""

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
    blocks: list[FloatPixels] = []
    fine: list[FloatPixels] = []
    for patch in sample_patches(colour):
        luma, chromas = _split(patch)
        halves = [_halved(chroma) for chroma in chromas]
        details = [chroma - _doubled(half) for chroma, half in zip(chromas, halves, strict=True)]
        blocks.append(np.stack([_variances(plane) for plane in (luma, *halves)]))
        fine.append(np.array([np.mean(np.square(detail)) for detail in details], np.float32).reshape(-1, 1))
    return Noise(blocks=calmest(blocks), fine_chroma=calmest(fine)[:, 0])


def _variances(plane: FloatPixels) -> FloatPixels:
    """64: the noise variance of each coefficient, if a plane were noise and little else.

    The median over the blocks overlooks the few that hold an edge. A picture's own energy falls
    steeply with frequency and a noise's hardly does, so the coarse coefficients are given no more
    than finer ones suggest.
    """
    quads = _quads(plane)  # of a patch: an even number each way, so these blocks lie side by side
    blocks = np.concatenate([quads[y::2, x::2] for y in (0, 1) for x in (0, 1)], axis=2)
    apart = _times(blocks, FORWARD, np.empty_like(blocks))
    energy = np.median(np.square(apart), axis=(0, 1)) / MEDIAN_OF_SQUARE
    at_most = np.where(FREQUENCY < COARSE, energy[FREQUENCY == COARSE].mean(), np.inf)
    at_most = np.minimum(at_most, energy[FREQUENCY >= FINE].mean() * COLOURED_NOISE)
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
    coefficients = _coefficients(_quads(plane))
    floor = variances * OVERSUBTRACTION
    floor[0] = 0  # a block's mean is left to itself
    kept = above(coefficients, floor, NEIGHBOURS)
    return _overlaid(_times(kept, BACKWARD, coefficients))


# --- blocks --------------------------------------------------------------------


def _quads(plane: FloatPixels) -> FloatPixels:
    """H x W -> H/4 x W/4 x 16: the plane cut into quads of 4 x 4 pixels."""
    height, width = plane.shape
    quads = plane.reshape(height // STEP, STEP, width // STEP, STEP).transpose(0, 2, 1, 3)
    return quads.reshape(height // STEP, width // STEP, STEP * STEP)


def _coefficients(quads: FloatPixels) -> FloatPixels:
    """Rows x columns x 16 -> (rows - 1) x (columns - 1) x 64: every block of 2 x 2 quads, transformed."""
    quads = np.ascontiguousarray(quads)
    rows, columns, size = quads.shape
    beside = as_strided(quads, (rows, columns - 1, 2 * size), quads.strides, writeable=False)
    blocks = np.concatenate([beside[:-1], beside[1:]], axis=2)
    return _times(blocks, FORWARD, np.empty_like(blocks))


def _overlaid(blocks: FloatPixels) -> FloatPixels:
    """Blocks of 2 x 2 quads -> the plane: the mean of the four blocks over each pixel; 0 at the rim."""
    rows, columns, _ = blocks.shape
    half = 2 * STEP * STEP
    inside = blocks[:-1, :, half:] + blocks[1:, :, :half]
    quads = np.zeros((rows + 1, columns + 1, STEP * STEP), np.float32)
    np.add(inside[:, :-1, half // 2 :], inside[:, 1:, : half // 2], out=quads[1:-1, 1:-1])
    quads *= np.float32(0.25)
    plane = quads.reshape(rows + 1, columns + 1, STEP, STEP).transpose(0, 2, 1, 3)
    return plane.reshape((rows + 1) * STEP, (columns + 1) * STEP)


def _times(blocks: FloatPixels, basis: FloatPixels, out: FloatPixels) -> FloatPixels:
    """Each block's 64 values times `basis`, into `out` (which may not be `blocks`).

    In batches of 64 blocks, which BLAS multiplies on the calling thread: its own threads
    would fight with ours, and the result must not depend on how many there are.
    """
    size = BLOCK * BLOCK
    source, target = blocks.reshape(-1, size), out.reshape(-1, size)
    whole = len(source) // size * size
    np.matmul(source[:whole].reshape(-1, size, size), basis, out=target[:whole].reshape(-1, size, size))
    np.matmul(source[whole:], basis, out=target[whole:])
    return out
