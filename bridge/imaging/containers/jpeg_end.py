"""Whether a JPEG that has its last marker holds all of the picture before it. Reads no header.

libjpeg makes up what is missing (zero bits, then gray) without a word that reaches us. So the
question is put to the pixels: bytes that follow the coded picture change nothing, but where it is
cut short they are taken for its continuation. Only files that look suspicious are asked, since it
takes decoding them again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bridge.imaging.image import Array, Pixels

_EOI = b"\xff\xd9"
_MADE_UP = 128  # in each channel: coefficients that are all zero
_SECTOR = 512  # bytes: what a failed copy leaves empty comes in multiples of it
_NOISE = np.random.default_rng(0).integers(0, 255, _SECTOR // 2, np.uint8).tobytes()  # without 255: no marker
_CONTINUATION = b"".join(_NOISE + bytes((0xFF, 0xD0 + number)) for number in range(8))  # wherever it restarts
_BAND = 256  # rows compared at a time


def is_whole(
    data: memoryview, end: int, pixels: Pixels, decoded: Callable[[bytes], Array], *, scans: int
) -> bool:
    """Whether the last scan holds all of its part of the picture.

    Args:
        data: a Huffman-coded JPEG.
        end: where its last scan ends: the offset of the marker after it.
        pixels: H x W x C, as decoded from `data`.
        decoded: the decoder that gave them.
        scans: how many there are; of several, a missing end leaves no gray behind.
    """
    filled = not bytes(data[end - _SECTOR : end]).strip(b"\0\xff")
    if scans == 1 and not filled and (pixels[-1, -1] != _MADE_UP).any():
        return True
    coded = bytes(data[:end]).rstrip(b"\xff")  # fill bytes of the marker
    empty = not coded[-_SECTOR:].strip(b"\0")
    if empty and _same(pixels, decoded(coded[: -len(_NOISE)] + _NOISE + _EOI)):
        coded = coded.rstrip(b"\0") + bytes(4)  # so many zeros may be the picture's, the others are not
    return _same(pixels, decoded(coded + _CONTINUATION + _EOI))


def _same(one: Array, other: Array) -> bool:
    return all(
        np.array_equal(one[top : top + _BAND], other[top : top + _BAND]) for top in range(0, len(one), _BAND)
    )
