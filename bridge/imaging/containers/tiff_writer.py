"""Pixels and metadata -> TIFF: Deflate with predictor, in strips. Knows no other container.

The EXIF block, which is a TIFF structure itself, becomes the beginning of the file: everything in
it, maker notes with absolute offsets too, keeps its place and its bytes, and the new directory at
the end of the file points to the parts that it takes over.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO

import imagecodecs
import numpy as np

from bridge.errors import EncodingFailed, MetadataMalformed
from bridge.imaging.containers import exif, ifd
from bridge.imaging.containers import tiff_layout as tags
from bridge.imaging.containers.blocks import Blocks
from bridge.imaging.containers.ifd import Field, Tree
from bridge.imaging.containers.tiff_segments import WORKERS
from bridge.imaging.image import Pixels

_STRIP_BYTES = 1 << 19  # enough for the predictor's rows to compress well, small enough to share out
_LEVEL = 1  # libdeflate: the noise of a photo does not compress, however long one tries
_MAX_FILE = 2**32 - 1  # a classic TIFF counts its bytes with 32 bits


def encode(pixels: Pixels, blocks: Blocks) -> tuple[bytes, tuple[str, ...]]:
    """A TIFF of H x W x 1..4 uint8, uint16 or float32, alpha unassociated, with all its blocks.

    Returns:
        The file, and what of a damaged EXIF block it leaves out.

    Raises:
        EncodingFailed: it would be larger than 4 GB.
    """
    block, warnings = _sound(blocks.exif)
    lead, described = _lead(block)
    order: ifd.Order = "<" if lead.startswith(b"II") else ">"
    out = BytesIO()
    out.write(lead)
    rows = max(1, min(pixels.shape[0], _STRIP_BYTES // max(pixels[0].nbytes, 1)))
    offsets, sizes = [], []
    with ThreadPoolExecutor(WORKERS) as pool:
        for strip in pool.map(partial(_strip, pixels, rows, order), range(0, pixels.shape[0], rows)):
            offsets.append(out.tell())
            sizes.append(len(strip))
            out.write(strip)
    out.write(bytes(out.tell() % 2))
    first = out.tell()
    tree = described | _layout_fields(pixels, order, rows, offsets, sizes) | _block_fields(blocks, order)
    directory = ifd.laid_out(order, tree, first) if first < _MAX_FILE else b""
    if first + len(directory) > _MAX_FILE:
        raise EncodingFailed(
            "The TIFF would be larger than 4 GB.", hint="Make the picture smaller, or use PNG."
        )
    out.write(directory)
    out.seek(0)
    out.write(ifd.header(order, first))
    return out.getvalue(), warnings


def _sound(block: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    """The block if all its entries lie inside it: others would point into the pixels."""
    if block is None:
        return None, ()
    try:
        known = exif.read(block)
        if known.whole:
            return block, ()
        return exif.assembled(known), ("Damaged fields of the EXIF block were left out.",)
    except MetadataMalformed as error:
        return None, (f"The EXIF block was left out: {error}",)


def _lead(block: bytes | None) -> tuple[bytes, dict[int, Field | Tree]]:
    """What the file begins with, and the fields of its directory that are found there."""
    if block is None:
        return ifd.header("<", 0), {}
    known = exif.read(block)
    fields: dict[int, Field | Tree] = dict(exif.descriptive(known))
    for tag in (exif.PHOTO, exif.GPS):
        if tag in known.main.fields:
            fields[tag] = ifd.field(
                known.structure.order, ifd.LONG, known.structure.number(known.main.fields, tag)
            )
    return block + bytes(len(block) % 2), fields


def _strip(pixels: Pixels, rows: int, order: ifd.Order, top: int) -> bytes:
    """Rows from `top` on: predicted, in the file's byte order, compressed."""
    block = np.ascontiguousarray(pixels[top : top + rows])
    if block.dtype == np.float32:
        predicted = imagecodecs.floatpred_encode(block, axis=1)
    else:
        predicted = imagecodecs.delta_encode(block, axis=1)
        predicted = predicted.astype(block.dtype.newbyteorder(order), copy=False)
    return bytes(imagecodecs.deflate_encode(predicted.tobytes(), level=_LEVEL))


def _layout_fields(
    pixels: Pixels, order: ifd.Order, rows: int, offsets: list[int], sizes: list[int]
) -> dict[int, Field]:
    """The fields that say where the pixels are and what they mean."""
    height, width, channels = pixels.shape
    floating = pixels.dtype == np.float32
    short, long = partial(ifd.field, order, ifd.SHORT), partial(ifd.field, order, ifd.LONG)
    fields = {
        tags.WIDTH: long(width),
        tags.HEIGHT: long(height),
        tags.BITS: short(*[pixels.dtype.itemsize * 8] * channels),
        tags.COMPRESSION: short(tags.ADOBE_DEFLATE),
        tags.PHOTOMETRIC: short(tags.RGB if channels >= 3 else tags.BLACK_IS_ZERO),
        tags.STRIP_OFFSETS: long(*offsets),
        tags.ORIENTATION: short(1),
        tags.SAMPLES: short(channels),
        tags.ROWS_PER_STRIP: long(rows),
        tags.STRIP_BYTES: long(*sizes),
        tags.PLANAR: short(1),
        tags.PREDICTOR: short(tags.FLOATING if floating else tags.HORIZONTAL),
        tags.SAMPLE_FORMAT: short(*[3 if floating else 1] * channels),
    }
    if channels in (2, 4):
        fields[tags.EXTRA_SAMPLES] = short(tags.UNASSOCIATED)
    return fields


def _block_fields(blocks: Blocks, order: ifd.Order) -> dict[int, Field]:
    """The fields that carry whole blocks, and the resolution."""
    fields = {
        tag: Field(kind, len(content), content)
        for tag, kind, content in (
            (tags.XMP, ifd.BYTE, blocks.xmp),
            (tags.IPTC, ifd.UNDEFINED, blocks.iptc),
            (tags.ICC, ifd.UNDEFINED, blocks.icc),
        )
        if content
    }
    if blocks.dots_per_inch:
        fields |= exif.resolution_fields(order, blocks.dots_per_inch)
    return fields
