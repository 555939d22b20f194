"""Blocks: what a container carries besides pixels, as raw bytes. Knows no container."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Blocks:
    """Raw blocks as they are read from, or are to be embedded into, any container.

    Attributes:
        exif: a TIFF structure without "Exif\\0\\0" before it.
        xmp: an XMP packet, UTF-8.
        iptc: IPTC-IIM records.
        icc: an ICC profile.
        dots_per_inch: horizontal and vertical resolution.
        speaks_of_colour: whether the container says by itself what its colours mean, be it with a
            profile that is damaged; of no meaning when embedding.
        gain_map: whether the file holds an HDR gain map, which is not among the blocks.
        orientation: EXIF orientation, 1 to 8; of no meaning when embedding.
        warnings: sentences about what could not be read, or cannot be embedded.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc: bytes | None = None
    dots_per_inch: tuple[float, float] | None = None
    speaks_of_colour: bool = False
    gain_map: bool = False
    orientation: int = 1
    warnings: tuple[str, ...] = ()
