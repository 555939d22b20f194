"""A small picture to look at: sRGB, 8 bit, JPEG, whatever the photo was."""

from __future__ import annotations

import cv2
import numpy as np

from bridge.imaging.codecs import Format, encode
from bridge.imaging.colour import to_working
from bridge.imaging.image import Image, Pixels

QUALITY = 85


def preview(image: Image, longest: int) -> bytes:
    """A JPEG of at most `longest` pixels a side; never larger than the photo.

    Args:
        image: upright, any depth, any RGB or gray profile. Not modified. Alpha is left out.
        longest: in pixels.
    """
    scale = min(1.0, longest / max(image.width, image.height))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Reduced first: the conversion of colour is the dearer step.
    reduced = cv2.resize(image.colour, size, interpolation=cv2.INTER_AREA)
    colour: Pixels = reduced.reshape(size[1], size[0], -1).astype(image.pixels.dtype, copy=False)
    working = to_working(colour, image.icc)
    shown = (np.clip(working, 0, 1) * 255 + 0.5).astype(np.uint8)
    return encode(Image(shown), Format.JPEG, quality=QUALITY).data
