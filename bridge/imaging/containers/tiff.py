"""TIFF -> pixels and blocks: palette, polarity and alpha made plain, directories taken apart.

`tiff_layout` says what is where, `tiff_segments` undoes the compression,
`tiff_writer` is the way back.
"""

from __future__ import annotations

import numpy as np

from bridge.errors import MetadataMalformed
from bridge.imaging.containers import exif, photoshop
from bridge.imaging.containers import tiff_layout as tags
from bridge.imaging.containers.blocks import Blocks
from bridge.imaging.containers.formats import Header
from bridge.imaging.containers.tiff_layout import Layout, read_layout
from bridge.imaging.containers.tiff_segments import read_samples
from bridge.imaging.image import FULL_SCALE, Array, Pixels

_BAND = 256  # rows worked on at a time, so that wider intermediate types stay small


def header(data: memoryview) -> Header:
    """Size, channels and depth of the first page; raises as `tiff_layout.read_layout` does."""
    return read_layout(data).header


def decode(data: memoryview) -> tuple[Pixels, tuple[str, ...]]:
    """H x W x 1..4 uint8, uint16 or float32, alpha unassociated; and what the picture lost.

    Floats that are no numbers become 0 and infinite ones 0 or 1: no editor can have meant them.

    Raises:
        ImageTruncated: pixels are missing.
        ImageError: damaged, or a layout that `tiff_layout` refuses.
    """
    layout = read_layout(data)
    samples = read_samples(layout)
    warnings = layout.warnings
    if layout.floating:
        samples = samples.astype(np.float32, copy=False)
        if _made_finite(samples):
            warnings += ("Some pixels of the TIFF are not numbers; they were set to black or white.",)
    pixels = _plain(layout, samples)
    if layout.associated:
        _unassociate(pixels)
    return pixels, warnings


def _plain(layout: Layout, samples: Array) -> Pixels:
    """Colour first, then alpha if there is any; white is the largest value."""
    alpha = None if layout.alpha is None else samples[..., layout.alpha : layout.alpha + 1]
    if layout.photometric == tags.PALETTE:
        colour = _looked_up(layout, samples[..., 0])
    else:
        if layout.bits < 8:
            samples *= np.uint8(255 // (2**layout.bits - 1))
        if layout.photometric == tags.WHITE_IS_ZERO:
            gray = samples[..., :1]
            np.subtract(FULL_SCALE[samples.dtype], gray, out=gray, casting="unsafe")
        if layout.alpha in (None, layout.colours) and layout.samples == layout.colours + (alpha is not None):
            return samples  # already as it should be
        colour = samples[..., : layout.colours]
    return np.ascontiguousarray(colour if alpha is None else np.concatenate([colour, alpha], axis=2))


def _looked_up(layout: Layout, indices: Array) -> Array:
    """H x W x 3 uint8 from a 16-bit colour map: all its reds, then all greens, then all blues.

    Raises:
        ImageError: the map holds other numbers.
    """
    table = np.zeros((3, 2**layout.bits), np.uint16)
    field = layout.directory.fields.get(tags.COLOUR_MAP)
    stored = tags.whole_numbers(layout.structure, field, table.size, largest=0xFFFF) if field else []
    table.ravel()[: len(stored)] = stored
    colour: Array = (table.T >> 8).astype(np.uint8)[indices]
    return colour


def _made_finite(samples: Array) -> bool:
    """Replace NaN by 0 and infinities by 0 or 1, in place; whether there were any."""
    found = False
    for top in range(0, len(samples), _BAND):
        band = samples[top : top + _BAND]
        if not np.isfinite(band).all():
            np.nan_to_num(band, copy=False, nan=0.0, posinf=1.0, neginf=0.0)
            found = True
    return found


def _unassociate(pixels: Pixels) -> None:
    """Divide colour by alpha, in place; where alpha is 0 there is no colour to find."""
    white = FULL_SCALE[pixels.dtype]
    for top in range(0, len(pixels), _BAND):
        band = pixels[top : top + _BAND]
        alpha = band[..., -1:].astype(np.float64)
        colour = np.divide(band[..., :-1] * white, alpha, out=np.zeros(band[..., :-1].shape), where=alpha > 0)
        if pixels.dtype != np.float32:
            colour = np.clip(np.rint(colour), 0, white)
        band[..., :-1] = colour


# --- blocks -----------------------------------------------------------------


def blocks(data: memoryview) -> Blocks:
    """The raw blocks; EXIF is put together from the first directory and those below it.

    Raises:
        ImageTruncated, PixelsUnsupported, ...: as `tiff_layout.read_layout` does.
    """
    layout = read_layout(data)
    tiff, fields = layout.structure, layout.directory.fields
    contents = {
        tag: bytes(fields[tag].value)
        for tag in (tags.XMP, tags.IPTC, tags.PHOTOSHOP, tags.ICC)
        if tag in fields
    }
    described = exif.parts(tiff, layout.directory)
    resources = contents.get(tags.PHOTOSHOP, b"")
    warnings = exif.losses(described) + photoshop.losses(resources)
    try:
        block = exif.assembled(described)
    except MetadataMalformed as error:
        block = None
        warnings += (f"The EXIF block was left out: {error}",)
    iptc = contents.get(tags.IPTC, b"")
    return Blocks(
        exif=block,
        xmp=contents.get(tags.XMP),
        iptc=iptc if iptc.startswith(b"\x1c") else photoshop.iptc(resources),
        icc=contents.get(tags.ICC),
        dots_per_inch=exif.dots_per_inch(tiff, fields),
        orientation=exif.orientation(described),
        warnings=warnings,
    )
