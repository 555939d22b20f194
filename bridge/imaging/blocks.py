"""Overlapping 8 x 8 blocks of a plane, 4 pixels apart, to their discrete cosine transform and back.

Owns the arithmetic alone; what is done with the coefficients is `denoise.py`'s. A cosine is even or odd
about the middle of a block, so sums and differences of mirrored pixels are taken first, along rows and
then along columns: four products with 16 x 16 matrices are left of one with 64 x 64, a quarter of the
work. Each of the 16 pixels of a 4 x 4 quad lies in a plane of its own, where mirroring is another order
of the planes and a neighbour is the next number in memory.
"""

from __future__ import annotations

import cv2
import numpy as np

from bridge.imaging.image import FloatPixels

BLOCK = 8
"""Side of a block in pixels."""

STEP = 4
"""Distance of neighbouring blocks: each pixel lies in four of them."""

COEFFICIENTS = BLOCK * BLOCK
_AT_ONCE = 960
"""Blocks in a product: BLAS starts threads of its own from 1,024 on. They would fight with ours, and the
result must not depend on how many there are."""


def _bases() -> tuple[FloatPixels, FloatPixels]:
    """4 x 16 x 16, for rows and columns even and even, even and odd, odd and even, odd and odd; and u + v.

    From what is left of a block's pixels to its orthonormal DCT-II coefficients; and the frequency of
    each of the 64, 0 to 14.
    """
    n = np.arange(BLOCK)
    cosine = np.cos(np.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    cosine[0] /= np.sqrt(2)
    bases, frequencies = [], []
    for down in (0, 1):
        for across in (0, 1):
            bases.append(np.kron(cosine[down::2, :STEP], cosine[across::2, :STEP]))
            frequencies.append(np.add.outer(n[down::2], n[across::2]).ravel())
    return np.stack(bases).astype(np.float32), np.concatenate(frequencies)


FORWARD, FREQUENCY = _bases()
BACKWARD = np.ascontiguousarray(FORWARD.transpose(0, 2, 1))


def coefficients(plane: FloatPixels) -> FloatPixels:
    """H x W, multiples of 4 -> 64 x (H/4 - 1) x (W/4 - 1): of every block, in the order of FREQUENCY."""
    height, width = plane.shape
    quads = plane.reshape(height // STEP, STEP, width // STEP, STEP).transpose(1, 3, 0, 2)
    quads = np.ascontiguousarray(quads)
    left, right = quads[..., :-1], quads[:, ::-1, :, 1:]
    signals = np.empty((2, 2, STEP, STEP, height // STEP - 1, width // STEP - 1), np.float32)
    for across, rows in enumerate((left + right, left - right)):
        top, bottom = rows[:, :, :-1], rows[::-1, :, 1:]
        np.add(top, bottom, out=signals[0, across])
        np.subtract(top, bottom, out=signals[1, across])
    return _times(FORWARD, signals.reshape(COEFFICIENTS, *signals.shape[-2:]))


def overlaid(coefficients: FloatPixels) -> FloatPixels:
    """The plane again: over each pixel the mean of its four blocks; 0 in the outermost 4 pixels.

    Args:
        coefficients: 64 x R x C. Not modified.
    """
    _, rows, columns = coefficients.shape
    signals = _times(BACKWARD, coefficients).reshape(2, 2, STEP, STEP, rows, columns)
    along = []
    for across in (0, 1):
        top, bottom = signals[0, across] + signals[1, across], signals[0, across] - signals[1, across]
        along.append(top[:, :, 1:] + bottom[::-1, :, :-1])
    left, right = along[0] + along[1], along[0] - along[1]
    quads = left[..., 1:] + right[:, ::-1, :, :-1]
    quads *= np.float32(0.25)
    plane = np.zeros((rows + 1, STEP, columns + 1, STEP), np.float32)
    plane[1:-1, :, 1:-1] = quads.transpose(2, 0, 3, 1)
    return plane.reshape((rows + 1) * STEP, (columns + 1) * STEP)


def mean_square(coefficients: FloatPixels, blocks: int) -> FloatPixels:
    """Of each coefficient over `blocks` x `blocks` blocks around; wrong in the outermost ones."""
    count, rows, columns = coefficients.shape
    squares = np.square(coefficients).reshape(count * rows, columns)  # as one tall picture
    cv2.blur(squares, (blocks, blocks), squares, borderType=cv2.BORDER_REFLECT_101)
    return squares.reshape(count, rows, columns)


def _times(bases: FloatPixels, signals: FloatPixels) -> FloatPixels:
    """Each of four 16 x 16 bases times its sixteen planes: 64 x R x C."""
    result = np.empty_like(signals)
    targets, sources = (planes.reshape(4, -1, signals[0].size) for planes in (result, signals))
    whole = sources.shape[2] // _AT_ONCE * _AT_ONCE
    for basis, source, target in zip(bases, sources, targets, strict=True):
        many, into = (
            planes[:, :whole].reshape(len(planes), -1, _AT_ONCE).transpose(1, 0, 2)
            for planes in (source, target)
        )
        np.matmul(basis, many, out=into)
        np.matmul(basis, source[:, whole:], out=target[:, whole:])
    return result
