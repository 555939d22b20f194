"""Metadata: read from any container, checked, brought up to date, given back for embedding.

Broken blocks are left out with a warning: the picture matters more. Knows no pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bridge.errors import MetadataMalformed
from bridge.imaging import appended
from bridge.imaging.containers import exif, jpeg, png, tiff, webp, xmp
from bridge.imaging.containers.blocks import Blocks
from bridge.imaging.containers.formats import Format
from bridge.imaging.image import Metadata
from bridge.imaging.profiles import built_in

_TIFF, _EXIF = "http://ns.adobe.com/tiff/1.0/", "http://ns.adobe.com/exif/1.0/"
_READERS: dict[Format, Callable[[memoryview], Blocks]] = {
    Format.JPEG: jpeg.blocks,
    Format.PNG: png.blocks,
    Format.TIFF: tiff.blocks,
    Format.WEBP: webp.blocks,
}
_LARGEST_PROFILE = 16 << 20  # bytes; press profiles with fine tables have about 4 MiB
_LARGEST_XMP = 64 << 20  # bytes; a long history of masks and brush strokes has about 10 MiB
_MAX_DPI = 100_000  # anything beyond is a broken number, not a scanner


def read(
    data: bytes | memoryview,
    format: Format,  # noqa: A002 - the word
    *,
    gray: bool = False,
) -> tuple[Metadata, bytes | None]:
    """What rides along with a picture, and its ICC profile (as found; `colour` judges it).

    A camera's photo in Adobe RGB without a profile, which only its EXIF tells, gets one; of a
    `gray` picture that is a curve.

    Raises:
        ImageError: the container itself cannot be walked through.
    """
    blocks = _READERS[format](memoryview(data))
    warnings = list(blocks.warnings)
    block, known = _checked_exif(blocks, warnings)
    profile = blocks.icc or None
    if profile and len(profile) > _LARGEST_PROFILE:
        profile = None
        warnings.append("The ICC profile is larger than any real one and was left out; sRGB is assumed.")
    elif not profile and not blocks.speaks_of_colour and known and exif.is_adobe_rgb(known):
        profile = built_in("Gray Gamma 2.2" if gray else "Adobe RGB (1998)")
    stated = exif.dots_per_inch(known.structure, known.main.fields) if known else None
    metadata = Metadata(
        exif=block,
        xmp=_checked_xmp(blocks, warnings),
        iptc=blocks.iptc or None,
        dots_per_inch=_sane(stated or blocks.dots_per_inch),
        orientation=exif.orientation(known) if known and blocks.orientation == 1 else blocks.orientation,
        warnings=tuple(warnings),
    )
    return metadata, profile


def _checked_exif(blocks: Blocks, warnings: list[str]) -> tuple[bytes | None, exif.Exif | None]:
    """The block without its thumbnail and what leads nowhere, and what is known of it."""
    if not blocks.exif:
        return None, None
    try:
        bare = exif.without_thumbnail(blocks.exif)
        known = exif.read(bare)  # again: a hostile thumbnail may have lain across a directory
    except MetadataMalformed as error:
        warnings.append(f"The EXIF block is damaged and was left out: {error}")
        return None, None
    return _salvaged(bare, known, warnings), known


def _salvaged(block: bytes, known: exif.Exif, warnings: list[str]) -> bytes | None:
    """The block as it is; or, if a pointer in it leads nowhere, put together anew without it."""
    if not known.damaged:
        return block
    warnings += exif.losses(known)
    try:
        return exif.assembled(known)
    except MetadataMalformed as error:
        warnings.append(f"The EXIF block was left out: {error}")
        return None


def _checked_xmp(blocks: Blocks, warnings: list[str]) -> bytes | None:
    """The packet without what it says of things that are not carried over; those are warned of."""
    packet, lost = blocks.xmp or None, {appended.GAIN_MAP} if blocks.gain_map else set()
    try:
        if packet and len(packet) > _LARGEST_XMP:
            raise MetadataMalformed("It is larger than any editor writes.")
        if packet:
            packet, told = appended.without(xmp.parse(packet))
            lost |= told
    except MetadataMalformed as error:
        warnings.append(f"The XMP is damaged and was left out: {error}")
        packet = None
    warnings += [f"The photo's {name} is not carried over." for name in sorted(lost)]
    return packet


def _sane(dots_per_inch: tuple[float, float] | None) -> tuple[float, float] | None:
    return dots_per_inch if dots_per_inch and all(0 < value < _MAX_DPI for value in dots_per_inch) else None


def upright(metadata: Metadata, width: int, height: int) -> Metadata:
    """The metadata of a picture whose orientation has been applied to the pixels.

    EXIF and XMP, where they state an orientation or a size in pixels, then state 1 and this size.
    """
    values = {
        (_TIFF, "Orientation"): "1",
        (_TIFF, "ImageWidth"): str(width),
        (_TIFF, "ImageLength"): str(height),
        (_EXIF, "PixelXDimension"): str(width),
        (_EXIF, "PixelYDimension"): str(height),
    }
    return replace(
        metadata,
        exif=exif.upright(metadata.exif, width, height) if metadata.exif else None,
        xmp=xmp.rewritten(metadata.xmp, values) if metadata.xmp else None,
        orientation=1,
    )


def blocks_of(metadata: Metadata, icc: bytes | None) -> Blocks:
    """What a container is to embed."""
    return Blocks(metadata.exif, metadata.xmp, metadata.iptc, icc, metadata.dots_per_inch)
