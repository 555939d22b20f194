"""Bytes <-> Image: the door to JPEG, PNG, TIFF and WebP, at 8 and 16 bits and as floats.

Says what is refused and what is converted; the containers are files of their own. Knows
nothing of faces, and reads no pixel before the header fits the budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from bridge.errors import ImageTooLarge
from bridge.imaging import colour as colour_conversion
from bridge.imaging import metadata
from bridge.imaging.containers import jpeg, png, tiff, tiff_writer, webp
from bridge.imaging.containers.formats import Format, Header, sniff
from bridge.imaging.image import FULL_SCALE, Array, Image, Pixels
from bridge.imaging.metadata import blocks_of

__all__ = ["Encoded", "Format", "Header", "decode", "encode", "inspect", "sniff"]

Depth = Literal[8, 16]
Warnings = tuple[str, ...]
_HEADERS = {
    Format.JPEG: jpeg.header,
    Format.PNG: png.header,
    Format.TIFF: tiff.header,
    Format.WEBP: webp.header,
}
_DEEPEST = {Format.JPEG: 8, Format.WEBP: 8, Format.PNG: 16}  # bits a channel; a TIFF takes all that we have
_MOST_BYTES = 16  # a pixel of a picture as large as the budget: RGB and alpha as floats
_BAND = 256  # rows converted at a time, so that wider intermediate types stay small


@dataclass(frozen=True)
class Encoded:
    """A finished file.

    Attributes:
        data: its bytes.
        media_type: for HTTP.
        warnings: sentences about what the format could not carry.
    """

    data: bytes
    media_type: str
    warnings: tuple[str, ...] = ()


def inspect(data: bytes | memoryview) -> Header:
    """Format, size, depth and orientation, without decoding a pixel.

    Raises:
        FormatUnsupported, PixelsUnsupported, ImageTruncated, ImageError: as `decode`.
    """
    container = sniff(data)
    header = _HEADERS[container](memoryview(data))
    found, _ = metadata.read(data, container)
    return replace(header, orientation=found.orientation)


def decode(data: bytes | memoryview, *, max_megapixels: float) -> Image:
    """Read a file, upright.

    The orientation is applied to the pixels once and set to 1 in the metadata; an embedded
    thumbnail is dropped, since it would show the picture as it was. What could not be read or is
    not carried on is told in `metadata.warnings`.

    Args:
        data: the whole file.
        max_megapixels: larger pictures are refused before anything is allocated.

    Returns:
        Pixels as stored, in the file's own profile and depth: 1, 2 and 4 bits become 8, palettes
        RGB, premultiplied colour is divided by its alpha, floats become float32.

    Raises:
        FormatUnsupported: not a JPEG, PNG, TIFF or WebP; or a camera raw file.
        PixelsUnsupported: CMYK, Lab, several pages, animation, unusual depths.
        ImageTooLarge: more pixels than the budget, or than memory holds.
        ImageTruncated: part of the picture is missing.
        ImageError: damaged.
    """
    view = memoryview(data)
    container = sniff(view)
    header = _HEADERS[container](view)
    if header.megapixels > max_megapixels:
        raise ImageTooLarge(
            f"The picture has {header.width} x {header.height} pixels, {header.megapixels:.0f} megapixels; "
            f"at most {max_megapixels:g} are accepted."
        )
    if header.megapixels * header.bytes_per_pixel > max_megapixels * _MOST_BYTES:
        raise ImageTooLarge(
            f"The picture has {header.bytes_per_pixel} bytes a pixel, which is more than memory holds.",
            hint="Save it without its extra channels.",
        )
    riding, icc = metadata.read(view, container, gray=header.channels <= 2)
    try:
        pixels, warnings = _pixels(view, container, header)
        pixels = _upright(pixels, riding.orientation)
    except MemoryError as error:
        raise ImageTooLarge("The picture needs more memory than there is.") from error
    fault = colour_conversion.problem(icc, 1 if pixels.shape[2] <= 2 else 3)
    if fault:
        warnings += (f"The ICC profile cannot be used, so the picture is treated as sRGB: {fault}.",)
    riding = replace(riding, warnings=riding.warnings + warnings)
    if riding.orientation != 1:
        riding = metadata.upright(riding, pixels.shape[1], pixels.shape[0])
    return Image(pixels, icc, riding)


def _pixels(data: memoryview, container: Format, header: Header) -> tuple[Pixels, Warnings]:
    match container:
        case Format.JPEG:
            return jpeg.decode(data, header), ()
        case Format.PNG:
            return png.decode(data, header), ()
        case Format.TIFF:
            return tiff.decode(data)
        case Format.WEBP:
            return webp.decode(data, header), ()


def _upright(pixels: Array, orientation: int) -> Pixels:
    """Apply an EXIF orientation: 2 to 4 mirror and turn by 180 degrees, 5 to 8 swap the sides."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    # A side of one pixel keeps its turned stride and counts as contiguous; encoders refuse that.
    return np.ascontiguousarray(pixels) if min(pixels.shape[:2]) > 1 else pixels.copy()


def encode(
    image: Image,
    format: Format,  # noqa: A002 - the word of the wire
    *,
    depth: Depth | None = None,
    quality: int = 95,
) -> Encoded:
    """Write a file with everything that rides along.

    Args:
        image: upright. Not modified.
        format: the container.
        depth: bits a channel; None keeps the image's. JPEG and WebP are always 8. Floats stay
            floats in a TIFF when depth is None, and become 16 bits in a PNG.
        quality: 1 to 100, of JPEG and WebP; a WebP of quality 100 is lossless.

    Returns:
        The file, with warnings for what it could not carry. TIFF loses nothing, PNG only what
        floats have beyond 16 bits.

    Raises:
        EncodingFailed: the format cannot hold a picture of this size.
    """
    match format:
        case Format.TIFF:
            pixels, clipped = _at_depth(image.pixels, depth)
            data, lost = tiff_writer.encode(pixels, blocks_of(image.metadata, image.icc))
            warnings = clipped + lost
        case Format.PNG:
            pixels, warnings = _at_depth(image.pixels, depth or (8 if image.pixels.dtype == np.uint8 else 16))
            data = png.encode(pixels, blocks_of(image.metadata, image.icc))
        case Format.JPEG:
            opaque, flattened = _on_white(image.pixels)
            pixels, clipped = _at_depth(opaque, 8)
            data, lost = jpeg.embed(jpeg.encode(pixels, quality), blocks_of(image.metadata, image.icc))
            warnings = flattened + clipped + lost
        case Format.WEBP:
            coloured, greyed = _in_colour(image)
            pixels, clipped = _at_depth(coloured.pixels, 8)
            data, lost = webp.embed(
                webp.encode(pixels, quality), blocks_of(image.metadata, coloured.icc), pixels.shape
            )
            warnings = greyed + clipped + lost
    if depth is None:
        warnings += _rounding(format, image.pixels.dtype)
    return Encoded(data, format.media_type, warnings)


def _rounding(container: Format, dtype: np.dtype[Any]) -> Warnings:
    """What is to be told when nobody asked for the depth that the container leaves."""
    most = _DEEPEST.get(container, 32)
    bits = dtype.itemsize * 8
    if bits <= most:
        return ()
    name = "WebP" if container is Format.WEBP else container.value.upper()
    return (f"{name} holds at most {most} bits a channel; the picture's {bits} were rounded.",)


def _at_depth(pixels: Array, depth: Depth | None) -> tuple[Pixels, Warnings]:
    """Pixels of 8 or 16 bits, or as they are; 16 -> 8 rounds to nearest, 8 -> 16 is exact (x 257)."""
    dtype = pixels.dtype if depth is None else np.dtype(f"u{depth // 8}")
    if dtype == pixels.dtype:
        return pixels, ()
    result: Array = np.empty(pixels.shape, dtype)
    white, clipped = FULL_SCALE[dtype], False
    for top in range(0, len(pixels), _BAND):
        band = pixels[top : top + _BAND]
        if band.dtype == np.float32:
            clipped = clipped or bool(band.min() < 0 or band.max() > 1)
            result[top : top + _BAND] = np.rint(np.clip(band, 0, 1) * white)
        elif dtype == np.uint16:
            np.multiply(band, 257, out=result[top : top + _BAND], dtype=np.uint16)
        else:  # round(x / 257), exactly
            result[top : top + _BAND] = (band * np.uint32(255) + np.uint32(32_895)) >> np.uint32(16)
    return result, ("Values darker than black or brighter than white were clipped.",) if clipped else ()


def _on_white(pixels: Array) -> tuple[Pixels, Warnings]:
    """Without alpha: what is transparent shows white, as when Photoshop saves a JPEG."""
    if pixels.shape[2] in (1, 3):
        return pixels, ()
    white = FULL_SCALE[pixels.dtype]
    result = pixels[..., :-1].copy()  # a side of one pixel keeps its stride otherwise
    transparent = False
    for top in range(0, len(pixels), _BAND):
        band = pixels[top : top + _BAND]
        cover = band[..., -1:].astype(np.float64) / white
        if (cover < 1).any():
            transparent = True
            blended = white + (band[..., :-1] - white) * cover
            result[top : top + _BAND] = blended if pixels.dtype == np.float32 else np.rint(blended)
    return result, ("JPEG has no transparency; the picture was placed on white.",) if transparent else ()


def _in_colour(image: Image) -> tuple[Image, Warnings]:
    """An RGB picture of a grayscale one; a grayscale profile cannot describe RGB, so it becomes sRGB."""
    if not image.is_gray:
        return image, ()
    alpha = image.pixels[..., 1:]
    colour: Array = np.repeat(image.colour, 3, axis=2)
    warnings: Warnings = ()
    if image.icc is not None:
        working = np.clip(colour_conversion.to_working(image.colour, image.icc), 0, 1) * image.full_scale
        colour = (working if image.pixels.dtype == np.float32 else np.rint(working)).astype(
            image.pixels.dtype
        )
        warnings = ("WebP has no grayscale profiles; the picture was converted to sRGB.",)
    return replace(image, pixels=np.concatenate([colour, alpha], axis=2), icc=None), warnings
