"""The strips and tiles of a TIFF -> one array, several at a time. Knows no metadata.

imagecodecs undoes the compression; the horizontal predictor is TIFF 6.0 section 14, the
floating-point one Adobe Photoshop TIFF Technical Note 3.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import imagecodecs
import numpy as np

from bridge.errors import ImageError, ImageTruncated
from bridge.imaging.containers import jpeg
from bridge.imaging.containers import tiff_layout as tags
from bridge.imaging.containers.tiff_layout import Layout
from bridge.imaging.image import Array

Packed = bytes | bytearray | memoryview
WORKERS = min(8, os.cpu_count() or 1)  # the codecs release the interpreter's lock
_RUNS = 16  # a worker; enough that all end at about the same time

_DECOMPRESS: dict[int, Callable[..., bytes | bytearray]] = {
    tags.LZW: imagecodecs.lzw_decode,
    tags.ADOBE_DEFLATE: imagecodecs.deflate_decode,
    tags.DEFLATE: imagecodecs.deflate_decode,
    tags.PACKBITS: imagecodecs.packbits_decode,
    tags.ZSTD: imagecodecs.zstd_decode,
}


def read_samples(layout: Layout) -> Array:
    """H x W x samples as stored: uint8 (also for 1, 2 and 4 bits, not yet scaled), uint16 or float.

    Raises:
        ImageTruncated: a strip or tile holds fewer pixels than it should.
        ImageError: one is damaged.
    """
    samples = np.empty((layout.height, layout.width, layout.samples), _dtype(layout))
    count = len(layout.offsets)
    run = -(-count // (WORKERS * _RUNS))  # many strips of a row each are handed out together
    with ThreadPoolExecutor(WORKERS) as pool:
        runs = (range(first, min(first + run, count)) for first in range(0, count, run))
        for _ in pool.map(partial(_place_all, layout, samples), runs):
            pass
    return samples


def _place_all(layout: Layout, samples: Array, indices: range) -> None:
    for index in indices:
        _place(layout, samples, index)


def _dtype(layout: Layout) -> np.dtype[Any]:
    """The native type of a stored sample."""
    return np.dtype(f"f{layout.bits // 8}") if layout.floating else np.dtype(f"u{max(layout.bits // 8, 1)}")


def _place(layout: Layout, samples: Array, index: int) -> None:
    """Decode one strip or tile into its place in `samples`."""
    columns = -(-layout.width // layout.across)
    plane, within = divmod(index, columns * -(-layout.height // layout.down))
    top, left = within // columns * layout.down, within % columns * layout.across
    channels = slice(plane, plane + 1) if layout.planar else slice(None)
    target = samples[top : top + layout.down, left : left + layout.across, channels]
    try:
        block = _block(layout, index, rows=target.shape[0], channels=target.shape[2])
    except (RuntimeError, ValueError) as error:
        raise ImageError(f"The TIFF is damaged: {error}.") from error
    target[...] = block[: target.shape[0], : target.shape[1]]


def _block(layout: Layout, index: int, rows: int, channels: int) -> Array:
    """One strip or tile as rows x across x channels, in native byte order.

    Args:
        layout: of the file.
        index: which strip or tile.
        rows: at least as many must be there; a last strip may be cut short or padded.
        channels: channels in it: 1 where each channel lies apart.
    """
    raw = layout.structure.data[layout.offsets[index] : layout.offsets[index] + layout.sizes[index]]
    if layout.compression == tags.JPEG:
        return _jpeg(layout, raw, channels)
    row_bytes = -(-layout.across * channels * layout.bits // 8)
    full = row_bytes * layout.down
    packed = raw[:full] if layout.compression == tags.NONE else _DECOMPRESS[layout.compression](raw, out=full)
    if len(packed) < row_bytes * rows:
        raise ImageTruncated("A strip or tile of the TIFF holds fewer pixels than it should.")
    rows = len(packed) // row_bytes
    packed = packed[: rows * row_bytes]
    if layout.bits < 8:
        run = layout.across * channels  # each row begins on a byte of its own
        block: Array = imagecodecs.packints_decode(bytes(packed), "u1", layout.bits, runlen=run)
        return block.reshape(rows, layout.across, channels)
    return _unpredicted(layout, packed, (rows, layout.across, channels))


def _unpredicted(
    layout: Layout, packed: bytes | bytearray | memoryview, shape: tuple[int, int, int]
) -> Array:
    """Whole samples, in native byte order, with the differences between neighbours summed up."""
    native = _dtype(layout)
    if layout.predictor == tags.FLOATING:  # has a byte order of its own
        floats: Array = imagecodecs.floatpred_decode(np.frombuffer(packed, native).reshape(shape), axis=1)
        return floats
    block: Array = np.frombuffer(packed, native.newbyteorder(layout.structure.order)).reshape(shape)
    if layout.predictor == tags.HORIZONTAL:
        words = block.astype(native, copy=False).view(f"u{native.itemsize}")  # also of floats
        block = imagecodecs.delta_decode(words, axis=1).view(native)
    return block


def _jpeg(layout: Layout, raw: memoryview, channels: int) -> Array:
    """A strip or tile that is a JPEG; its tables may be shared by all of them (TIFF Tech Note 2)."""
    frame = jpeg.header(raw)
    if (frame.width, frame.channels) != (layout.across, channels) or frame.height > layout.down:
        raise ImageError("A JPEG strip of the TIFF has another size than the TIFF says.")
    jpeg.check_scans(raw)
    shared = layout.directory.fields.get(tags.JPEG_TABLES)
    block: Array = imagecodecs.jpeg8_decode(
        raw,  # type: ignore[arg-type]  # takes any buffer, its stubs forget memoryview
        tables=bytes(shared.value) if shared else None,
        colorspace="YCBCR" if layout.photometric == tags.YCBCR else "RGB" if channels == 3 else None,
        outcolorspace="RGB" if channels == 3 else None,
    )
    return block.reshape(frame.height, frame.width, channels)
