"""Tiles: runs a filter over a large picture in small squares, on every core and in little memory.

Knows where tiles lie, how to read one with its surroundings and how to stop
early; knows nothing of what a filter computes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from bridge.errors import Cancelled
from bridge.imaging.image import Array, FloatPixels, Pixels

OPENCV_DEPTH: dict[np.dtype[Any], int] = {
    np.dtype(np.uint8): cv2.CV_8U,
    np.dtype(np.uint16): cv2.CV_16U,
    np.dtype(np.float32): cv2.CV_32F,
}
"""OpenCV's name of each dtype."""

THREADS = 8
"""More threads would wait for the memory, and need more of it."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of a picture, in pixels; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def of(self, pixels: Array) -> Array:
        """This rectangle of `pixels`: a view."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def surrounded(self, pixels: Array, margin: int, multiple: int = 1) -> Array:
        """This rectangle with its surroundings, for filters that look at neighbours.

        Args:
            pixels: H x W x C, any dtype that OpenCV knows. Not modified.
            margin: pixels to add on every side; where the picture ends it is mirrored
                about its outermost pixels.
            multiple: more pixels are added at the bottom and on the right until both
                sides are a multiple of this.

        Returns:
            at least (height + 2 margin) x (width + 2 margin) x C, the tile's first pixel at
            [margin, margin]; a view of `pixels` where nothing had to be mirrored.
        """
        height, width = pixels.shape[:2]
        bottom = self.bottom + margin + (-(self.height + 2 * margin) % multiple)
        right = self.right + margin + (-(self.width + 2 * margin) % multiple)
        top, left = self.top - margin, self.left - margin
        inside = pixels[max(top, 0) : min(bottom, height), max(left, 0) : min(right, width)]
        beyond = (max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0))
        if not any(beyond):
            return inside
        return cv2.copyMakeBorder(inside, *beyond, cv2.BORDER_REFLECT_101).reshape(
            bottom - top, right - left, pixels.shape[2]
        )


def tiles(height: int, width: int, side: int) -> list[Tile]:
    """The squares of `side` pixels that cover height x width, row by row; the last ones are cut off."""
    return [
        Tile(top, left, min(top + side, height), min(left + side, width))
        for top in range(0, height, side)
        for left in range(0, width, side)
    ]


def map_tiles(
    change: Callable[[Tile], FloatPixels],
    colour: Pixels,
    *,
    side: int,
    threads: int | None = None,
    cancelled: threading.Event | None = None,
) -> Pixels:
    """A new picture: `colour` plus what a filter changes in it, tile by tile.

    Args:
        change: gives what to add to one tile (its height x width x C); called on several
            threads at once, so it only reads what it shares. The result does not depend on
            the order of calls, hence not on the number of threads.
        colour: H x W x C, uint8, uint16 or float32. Not modified.
        side: side of a tile in pixels.
        threads: how many tiles at once; None: one for each core, at most 8.
        cancelled: looked at before each tile.

    Returns:
        same shape and dtype; whole numbers are rounded to the nearest and clipped to what the
        dtype holds, float32 is neither.

    Raises:
        Cancelled: `cancelled` was set; at most one tile for each thread was still computed.
        Exception: whatever `change` raised first; the remaining tiles are dropped.
    """
    result = np.empty_like(colour)
    depth = OPENCV_DEPTH[colour.dtype]

    def place(tile: Tile) -> None:
        if cancelled is not None and cancelled.is_set():
            raise Cancelled("The filter was stopped between two tiles.")
        target = tile.of(result)
        target[...] = cv2.add(tile.of(colour), change(tile), dtype=depth).reshape(target.shape)

    pool = ThreadPoolExecutor(threads or min(os.cpu_count() or 1, THREADS), thread_name_prefix="tile")
    try:
        for done in [pool.submit(place, tile) for tile in tiles(colour.shape[0], colour.shape[1], side)]:
            done.result()
    finally:
        pool.shutdown(cancel_futures=True)
    return result
