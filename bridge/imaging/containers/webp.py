"""WebP: its chunks, its header, its pixels. Knows what a block is called, not what it says.

RFC 9649 for the container; libwebp, through imagecodecs, for the pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import imagecodecs
import numpy as np

from bridge.errors import EncodingFailed, ImageError, ImageTruncated, PixelsUnsupported
from bridge.imaging.containers import exif
from bridge.imaging.containers.blocks import Blocks
from bridge.imaging.containers.formats import Format, Header
from bridge.imaging.image import Array, Pixels

ICC, ALPHA, EXIF, XMP, ANIMATED = 0x20, 0x10, 0x08, 0x04, 0x02  # the flags of VP8X
_MAX_CHUNKS = 10_000
_MAX_SIDE = 16_383
_LOSSLESS = 100  # the quality from which on nothing is lost
_METHOD = 4  # libwebp's effort, 0 to 6


@dataclass(frozen=True)
class Chunk:
    """One RIFF chunk: its four letters and its content."""

    kind: bytes
    payload: memoryview


def chunks(data: memoryview) -> Iterator[Chunk]:
    """Every chunk, in order.

    Raises:
        ImageTruncated: the file is shorter than its header says.
        ImageError: more chunks than any editor writes.
    """
    end, at = 8 + int.from_bytes(data[4:8], "little"), 12
    if len(data) < end:
        raise ImageTruncated("The WebP ends before its picture does.")
    for _ in range(_MAX_CHUNKS):
        if at + 8 > end:
            return
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > end:
            raise ImageTruncated("The WebP ends inside a chunk.")
        yield Chunk(bytes(data[at : at + 4]), data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    raise ImageError("The WebP has more chunks than any editor writes.")


def header(data: memoryview) -> Header:
    """Size and channels; libwebp gives RGB also for pictures without colour.

    Raises:
        PixelsUnsupported: an animation.
        ImageTruncated, ImageError: no picture, or a broken header.
    """
    alpha = False
    for chunk in chunks(data):
        if chunk.kind == b"VP8X" and len(chunk.payload) >= 10:
            if chunk.payload[0] & ANIMATED:
                raise PixelsUnsupported("The WebP is an animation.", hint="Save one picture of it.")
            alpha = bool(chunk.payload[0] & ALPHA)
        elif chunk.kind == b"VP8 ":
            width, height, _ = _bitstream(chunk)
            return Header(Format.WEBP, width, height, 4 if alpha else 3, 8)
        elif chunk.kind == b"VP8L":
            width, height, own_alpha = _bitstream(chunk)
            return Header(Format.WEBP, width, height, 4 if alpha or own_alpha else 3, 8)
    raise ImageError("The WebP has no picture in it.")


def _bitstream(chunk: Chunk) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha, of a VP8 (RFC 6386, 9.1) or VP8L header."""
    start = bytes(chunk.payload[:10])
    if chunk.kind == b"VP8L" and len(start) >= 5 and start[0] == 0x2F:
        bits = int.from_bytes(start[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if chunk.kind == b"VP8 " and start[3:6] == b"\x9d\x01\x2a" and len(start) == 10:
        width = int.from_bytes(start[6:8], "little") & 0x3FFF
        height = int.from_bytes(start[8:10], "little") & 0x3FFF
        if width and height:
            return width, height, False
    raise ImageError("The WebP's picture has a broken header.")


def decode(data: memoryview, header: Header) -> Pixels:
    """H x W x 3 or 4 uint8.

    Raises:
        ImageError: damaged.
    """
    try:
        pixels: Array = imagecodecs.webp_decode(
            data,  # type: ignore[arg-type]  # takes any buffer, its stubs forget memoryview
            hasalpha=header.channels == 4,
        )
        return pixels.reshape(header.height, header.width, header.channels)
    except (RuntimeError, ValueError) as error:
        raise ImageError(f"The WebP is damaged: {error}.") from error


def encode(pixels: Pixels, quality: int) -> bytes:
    """A plain WebP of H x W x 3 or 4 uint8; lossless at quality 100.

    Raises:
        EncodingFailed: a side is longer than a WebP may be.
    """
    if max(pixels.shape[:2]) > _MAX_SIDE:
        raise EncodingFailed(f"A WebP's sides are at most {_MAX_SIDE} pixels.")
    return bytes(
        imagecodecs.webp_encode(
            np.ascontiguousarray(pixels), level=quality, lossless=quality >= _LOSSLESS, method=_METHOD
        )
    )


# --- blocks -----------------------------------------------------------------


def blocks(data: memoryview) -> Blocks:
    """The raw blocks; of a kind that should be there once the first one counts."""
    found: dict[bytes, bytes] = {}
    for chunk in chunks(data):
        if chunk.kind in (b"ICCP", b"EXIF", b"XMP "):
            found.setdefault(chunk.kind, bytes(chunk.payload))
    block = found.get(b"EXIF")
    return Blocks(
        exif=block.removeprefix(b"Exif\0\0") if block else None,  # some writers leave the label on
        xmp=found.get(b"XMP "),
        icc=found.get(b"ICCP"),
    )


def embed(plain: bytes, blocks: Blocks, shape: tuple[int, ...]) -> tuple[bytes, tuple[str, ...]]:
    """The WebP that `encode` made of pixels of this shape with these blocks in it, and what did not fit."""
    height, width, channels = shape
    warnings = ("WebP has no place for IPTC records; they were left out.",) if blocks.iptc else ()
    if blocks.dots_per_inch and not blocks.exif:  # the only place for a resolution
        blocks = replace(blocks, exif=exif.of_resolution(blocks.dots_per_inch))
    flags = (
        (ICC if blocks.icc else 0)
        | (ALPHA if channels == 4 else 0)
        | (EXIF if blocks.exif else 0)
        | (XMP if blocks.xmp else 0)
    )
    if not flags:
        return plain, warnings
    pixels = [c for c in chunks(memoryview(plain)) if c.kind in (b"VP8 ", b"VP8L", b"ALPH")]
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    parts = [
        _chunk(b"VP8X", bytes((flags, 0, 0, 0)) + size),
        *([_chunk(b"ICCP", blocks.icc)] if blocks.icc else []),
        *(_chunk(chunk.kind, chunk.payload) for chunk in pixels),
        *([_chunk(b"EXIF", blocks.exif)] if blocks.exif else []),
        *([_chunk(b"XMP ", blocks.xmp)] if blocks.xmp else []),
    ]
    length = 4 + sum(len(part) for part in parts)
    return b"".join([b"RIFF", length.to_bytes(4, "little"), b"WEBP", *parts]), warnings


def _chunk(kind: bytes, payload: bytes | memoryview) -> bytes:
    return b"".join([kind, len(payload).to_bytes(4, "little"), payload, bytes(len(payload) % 2)])
