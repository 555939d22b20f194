"""A photo as a detector sees it: reduced, in 8-bit sRGB, and cut into tiles around faces.

Owns the scales at which a photo is looked at. Only what is looked at is converted in colour: the
reduced photo once, and the tiles that need more than it shows. Knows nothing of detectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from bridge.faces.align import warped
from bridge.faces.face import Points, SimilarityTransform
from bridge.imaging.colour import to_working
from bridge.imaging.image import Image, Pixels

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Look:
    """The photo at one scale: H x W x 3 uint8, sRGB-encoded, and its pixels per photo pixel."""

    pixels: Bytes
    scale_x: float
    scale_y: float

    @property
    def longest(self) -> int:
        """The longer side in pixels."""
        return int(max(self.pixels.shape[:2]))

    def to_photo(self, points: Points) -> Points:
        """N x 2 points of this look in pixels of the photo."""
        return (points + 0.5) / (self.scale_x, self.scale_y) - 0.5

    def reduced(self, longest: int) -> Look:
        """The same at a smaller scale; itself when it is no larger than `longest` pixels."""
        small, across, down = _reduced(self.pixels, longest)
        return Look(np.asarray(small, np.uint8), self.scale_x * across, self.scale_y * down)


def look_at(image: Image, longest: int) -> Look:
    """The photo reduced (never enlarged) to `longest` pixels and brought to sRGB."""
    small, across, down = _reduced(image.colour, longest)
    return Look(_as_seen(small, image.icc), across, down)


def tile(image: Image, looks: list[Look], to_tile: SimilarityTransform, side: int) -> Bytes:
    """side x side x 3 of the photo where `to_tile` (photo -> tile) puts it.

    Cut from the finest look of which the tile skips no pixels, `looks` being ordered from the
    smallest; from the photo itself where the tile shows more than the finest of them.
    """
    zoom = to_tile.scale
    if zoom > looks[-1].scale_x and looks[-1].scale_x < 1:
        return _as_seen(warped(image.colour, to_tile, side, "replicate"), image.icc)
    look = ([look for look in looks if look.scale_x <= 1.5 * zoom] or looks[:1])[-1]
    stretch = np.array([[1 / look.scale_x, 0], [0, 1 / look.scale_y]])
    offset = np.array([[0.5 / look.scale_x - 0.5], [0.5 / look.scale_y - 0.5]])
    linear, shift = to_tile.matrix[:, :2], to_tile.matrix[:, 2:]
    from_look = np.hstack([linear @ stretch, linear @ offset + shift])
    cut = cv2.warpAffine(
        look.pixels, from_look, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(cut, np.uint8)


def _as_seen(colour: Pixels, icc: bytes | None) -> Bytes:
    working = to_working(colour, icc)
    np.clip(working, 0, 1, out=working)
    working *= np.float32(255)
    return np.rint(working, out=working).astype(np.uint8)


def _reduced(pixels: Pixels, longest: int) -> tuple[Pixels, float, float]:
    """H x W x C averaged down to `longest` pixels, and the new pixels per old one, across and down.

    By halves first, which is twenty times as fast as any other factor; what an odd side has left
    over is not looked at.
    """
    height, width, channels = pixels.shape
    scale = min(1.0, longest / max(height, width))
    across, down = 1.0, 1.0
    while scale * 2 <= 1 and min(height, width) > 1:
        height, width = height // 2, width // 2
        even = np.ascontiguousarray(pixels[: height * 2, : width * 2])
        half = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
        pixels = np.asarray(half, pixels.dtype).reshape(height, width, channels)
        across, down, scale = across / 2, down / 2, scale * 2
    wanted = max(1, round(width * scale)), max(1, round(height * scale))
    if wanted != (width, height):
        small = cv2.resize(np.ascontiguousarray(pixels), wanted, interpolation=cv2.INTER_AREA)
        pixels = np.asarray(small, pixels.dtype).reshape(wanted[1], wanted[0], channels)
    return pixels, across * wanted[0] / width, down * wanted[1] / height
