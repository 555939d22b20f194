"""Which container a file is, and what its header promises. Decodes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bridge.errors import FormatUnsupported


class Format(StrEnum):
    """The containers that are read and written."""

    JPEG = "jpeg"
    PNG = "png"
    TIFF = "tiff"
    WEBP = "webp"

    @property
    def media_type(self) -> str:
        """The IANA media type."""
        return f"image/{self.value}"


@dataclass(frozen=True)
class Header:
    """What a file says about its first picture, before any pixel is decoded.

    Attributes:
        format: the container.
        width: columns as stored, before the orientation is applied.
        height: rows as stored.
        channels: 1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha: what `decode` will give.
        depth: bits a channel that `decode` will give: 8, 16, or 32 for float.
        orientation: EXIF orientation, 1 to 8.
        stored: bytes that a pixel takes as it is stored, extra channels included; 0: as decoded.
    """

    format: Format
    width: int
    height: int
    channels: int
    depth: int
    orientation: int = 1
    stored: int = 0

    @property
    def bytes_per_pixel(self) -> int:
        """What a pixel takes while it is decoded."""
        return max(self.stored, self.channels * self.depth // 8)

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6


_LOOKS_LIKE = (  # first bytes of what people drop on a photo tool by mistake
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"8BPS", "a Photoshop document (PSD)"),
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"\x00\x00\x01\x00", "a Windows icon"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"v/1\x01", "an OpenEXR"),
    (b"#?RADIANCE", "a Radiance HDR"),
    (b"GPEN", "a GPEN frame, not an image file"),
    (b"PK\x03\x04", "a ZIP archive or office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"FUJIFILMCCD-RAW", "a camera raw file (Fujifilm)"),
    (b"IIRO", "a camera raw file (Olympus)"),
    (b"IIRS", "a camera raw file (Olympus)"),
    (b"MMOR", "a camera raw file (Olympus)"),
    (b"IIU\x00", "a camera raw file (Panasonic)"),
    (b"FOVb", "a camera raw file (Sigma)"),
    (b"\x00MRM", "a camera raw file (Minolta)"),
)
_BRANDS = (  # ISO base media file: bytes 4 to 8 are "ftyp", then the major brand
    (b"crx ", "a camera raw file (Canon CR3)"),
    (b"avi", "an AVIF"),
    (b"hei", "a HEIC"),
    (b"hev", "a HEIC"),
    (b"mif1", "a HEIC"),
    (b"msf1", "a HEIC"),
)
_EMPTY_ADVICE = "Copy or export the file again: nothing of it is there."
_RAW_ADVICE = "Export it from Lightroom or Camera Raw as a 16-bit TIFF."


def sniff(data: bytes | memoryview) -> Format:
    """The container, by its first bytes; file names are not asked.

    Raises:
        FormatUnsupported: none of ours; the message says what it looks like.
    """
    start = bytes(data[:512])
    if start.startswith(b"\xff\xd8\xff"):
        return Format.JPEG
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return Format.PNG
    if start[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return Format.TIFF
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return Format.WEBP
    likeness = _likeness(start)
    hint = _RAW_ADVICE if "raw file" in likeness else None if start else _EMPTY_ADVICE
    raise FormatUnsupported(f"The file is {likeness}.", hint=hint)


def _likeness(start: bytes) -> str:
    """In words, what a file that is none of ours seems to be."""
    if not start:
        return "empty"
    for magic, name in _LOOKS_LIKE:
        if start.startswith(magic):
            return name
    if start[4:8] == b"ftyp":
        return next(
            (name for brand, name in _BRANDS if start[8:12].startswith(brand)), "a video or audio file"
        )
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in text:
        return "an SVG drawing"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if text.startswith(b"<?xml"):
        return "an XML document"
    if not any(byte < 9 or 13 < byte < 32 for byte in start):
        return "text"
    return "no image that the bridge knows"
