"""JPEG: its segments, its header, its pixels. Knows what a block is called, not what it says.

ITU-T T.81 Annex B for the markers; libjpeg-turbo, through imagecodecs, for the pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import imagecodecs
import numpy as np

from bridge.errors import EncodingFailed, ImageError, ImageTruncated, MetadataMalformed, PixelsUnsupported
from bridge.imaging.containers import exif, jpeg_end, mpf, photoshop, xmp_extension
from bridge.imaging.containers.blocks import Blocks
from bridge.imaging.containers.formats import Format, Header
from bridge.imaging.image import Array, Pixels

EOI, SOS, APP0, APP1, APP2, APP13 = 0xD9, 0xDA, 0xE0, 0xE1, 0xE2, 0xED
_JFIF, _EXIF, _ICC, _IRB = b"JFIF\0", b"Exif\0\0", b"ICC_PROFILE\0", b"Photoshop 3.0\0"
_XMP, _MORE_XMP = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_MPF, _GAIN_MAP = b"MPF\0", b"urn:iso:std:iso:ts:21496:-1\0"
_MARKS_OF_GAIN_MAPS = (
    _GAIN_MAP,
    b"http://ns.adobe.com/hdr-gain-map/1.0/",
    b"http://ns.apple.com/HDRGainMap/1.0/",
)
_ARITHMETIC = {0xC9, 0xCA}  # extended, progressive
_FRAMES = {0xC0, 0xC1, 0xC2, *_ARITHMETIC}  # the first three Huffman-coded: baseline, extended, progressive
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD, 0xCE, 0xCF}  # lossless and hierarchical
_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
_LEAD = 4  # bytes of a segment before its payload: marker and length
_MAX_SEGMENTS = 20_000
_USUAL_SCANS = 20  # a progressive photo has about 10
_MAX_SCANS = 200  # thousands are a decoding bomb, and
_MAX_WORK = 2_000  # so are many in a large picture: scans times megapixels
_MAX_PAYLOAD = 0xFFFF - 2
_MAX_SIDE = 65_500  # libjpeg's own limit
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


@dataclass(frozen=True)
class Segment:
    """One marker segment: its code, what follows the length, and where in the file the marker is."""

    marker: int
    payload: memoryview
    at: int


def segments(data: memoryview) -> Iterator[Segment]:
    """Every marker segment from after SOI up to and including EOI.

    Raises:
        ImageTruncated: the file ends before EOI.
        ImageError: more segments than any camera or editor writes.
    """
    at = 2
    for _ in range(_MAX_SEGMENTS):
        found = _NEXT_MARKER.search(data, at)  # skips entropy-coded data, fill bytes and garbage
        if found is None:
            raise ImageTruncated("The JPEG ends before its last marker.")
        start, at = found.span()
        marker = data[start + 1]
        if marker in _BARE:
            continue
        if marker == EOI:
            yield Segment(marker, data[at:at], start)
            return
        length = int.from_bytes(data[at : at + 2], "big")
        if len(data) < at + max(length, 2):
            raise ImageTruncated("The JPEG ends inside a segment.")
        yield Segment(marker, data[at + 2 : at + length], start)
        at += max(length, 2)
    raise ImageError("The JPEG has more segments than any camera writes.")


def header(data: memoryview) -> Header:
    """Size and channels from the frame header.

    Raises:
        PixelsUnsupported: CMYK, 12 bit, lossless or hierarchical.
        ImageTruncated, ImageError: no frame header, or a broken one.
    """
    for segment in segments(data):
        if segment.marker in _OTHER_FRAMES:
            raise PixelsUnsupported("The JPEG is of a lossless or hierarchical kind.")
        if segment.marker in _FRAMES:
            return _frame(segment.payload)
        if segment.marker == SOS:
            break
    raise ImageError("The JPEG has no frame header.")


def _frame(payload: memoryview) -> Header:
    if len(payload) < 6:
        raise ImageError("The JPEG's frame header is too short.")
    precision, components = payload[0], payload[5]
    height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
    if components == 4:
        raise PixelsUnsupported("The JPEG is CMYK.", hint="Convert it to RGB in Photoshop first.")
    if components not in (1, 3):
        raise PixelsUnsupported(f"The JPEG has {components} channels.")
    if precision != 8:
        raise PixelsUnsupported(f"The JPEG has {precision} bits a channel; 8 are supported.")
    if not width or not height:
        raise ImageError("The JPEG does not say how large it is.")
    return Header(Format.JPEG, width, height, components, 8)


def decode(data: memoryview, header: Header) -> Pixels:
    """H x W x 1 or 3 uint8, RGB.

    Raises:
        ImageTruncated: part of the picture is missing, with or without an EOI marker after it.
        ImageError: damaged, or made to keep the decoder busy.
    """
    check_scans(data, max(_USUAL_SCANS, min(_MAX_SCANS, _MAX_WORK / header.megapixels)))

    def decoded(file: bytes | memoryview) -> Array:
        # It takes any buffer; its stubs forget memoryview.
        pixels: Array = imagecodecs.jpeg8_decode(file)  # type: ignore[arg-type]
        return pixels.reshape(header.height, header.width, header.channels)

    try:
        pixels = decoded(data)
        whole = _is_whole(data, pixels, decoded)
    except (RuntimeError, ValueError) as error:
        raise ImageError(f"The JPEG is damaged: {error}.") from error
    if not whole:
        raise ImageTruncated("The JPEG's last marker comes before all of the picture did.")
    return pixels


def _is_whole(data: memoryview, pixels: Pixels, decoded: Callable[[bytes], Array]) -> bool:
    """As `jpeg_end.is_whole`; arithmetic coding may leave out zeros at its end, so it is not asked."""
    found = list(segments(data))
    if any(segment.marker in _ARITHMETIC for segment in found):
        return True
    scans = [index for index, segment in enumerate(found) if segment.marker == SOS]
    return jpeg_end.is_whole(data, found[scans[-1] + 1].at, pixels, decoded, scans=len(scans))


def check_scans(data: memoryview, most: float = _USUAL_SCANS) -> None:
    """Walk through the whole file, before a decoder does.

    Raises:
        ImageTruncated: no EOI marker, so part of the picture is missing.
        ImageError: more scans than `most`: made to keep the decoder busy.
    """
    scans = sum(segment.marker == SOS for segment in segments(data))
    if scans > most:
        raise ImageError(f"The JPEG has {scans} scans; no editor writes so many.")


def encode(pixels: Pixels, quality: int) -> bytes:
    """A plain JPEG of H x W x 1 or 3 uint8; colour is not subsampled from quality 90 on.

    With the standard's own Huffman tables: best ones make a photo 1.4 % smaller for twice the time.

    Raises:
        EncodingFailed: a side is longer than a JPEG may be.
    """
    if max(pixels.shape[:2]) > _MAX_SIDE:
        raise EncodingFailed(f"A JPEG's sides are at most {_MAX_SIDE} pixels.")
    gray = pixels.shape[2] == 1
    return bytes(
        imagecodecs.jpeg8_encode(
            np.ascontiguousarray(pixels[..., 0] if gray else pixels),
            level=quality,
            subsampling=None if gray else "444" if quality >= 90 else "420",
        )
    )


# --- blocks -----------------------------------------------------------------


def blocks(data: memoryview) -> Blocks:
    """The raw blocks; of a kind that should be there once the first one counts.

    Raises:
        ImageTruncated: the file ends before its pixels begin.
    """
    found: dict[bytes, list[bytes]] = {}
    gain_map = False
    for segment in segments(data):
        if segment.marker == SOS:
            break
        for marker, label in (
            (APP0, _JFIF),
            (APP1, _EXIF),
            (APP1, _XMP),
            (APP1, _MORE_XMP),
            (APP2, _ICC),
            (APP13, _IRB),
        ):
            if segment.marker == marker and segment.payload[: len(label)] == label:
                found.setdefault(label, []).append(bytes(segment.payload[len(label) :]))
        gain_map = gain_map or _tells_of_gain_map(segment, data)
    warnings: list[str] = []
    first = {label: contents[0] for label, contents in found.items()}
    resources = b"".join(found.get(_IRB, []))
    warnings += photoshop.losses(resources)
    return Blocks(
        exif=first.get(_EXIF),
        xmp=_joined_xmp(first.get(_XMP), found.get(_MORE_XMP, []), warnings),
        iptc=photoshop.iptc(resources),
        icc=_joined_icc(found.get(_ICC, []), warnings),
        dots_per_inch=_density(first.get(_JFIF, b"")),
        speaks_of_colour=_ICC in found,
        gain_map=gain_map,
        warnings=tuple(warnings),
    )


def _tells_of_gain_map(segment: Segment, data: memoryview) -> bool:
    """Whether a segment says so itself (ISO 21496-1), or leads to a picture that says so."""
    if segment.marker != APP2 or segment.payload[: len(_MPF)] != _MPF:
        return segment.marker == APP2 and segment.payload[: len(_GAIN_MAP)] == _GAIN_MAP
    further = mpf.further_beginnings(segment.payload[len(_MPF) :], data, segment.at + _LEAD + len(_MPF))
    return any(_is_gain_map(picture) for picture in further)


def _is_gain_map(picture: memoryview) -> bool:
    """Whether the head of a picture has one of the marks of gain maps."""
    try:
        for segment in segments(picture):
            if segment.marker == SOS:
                break
            content = bytes(segment.payload) if segment.marker in (APP1, APP2) else b""
            if any(mark in content for mark in _MARKS_OF_GAIN_MAPS):
                return True
    except ImageError:
        pass  # cut short, or no picture
    return False


def _joined_icc(pieces: list[bytes], warnings: list[str]) -> bytes | None:
    """A profile from its segments, each of which begins with its number and their count (ICC.1, B.4)."""
    if not pieces:
        return None
    numbered = {piece[0]: piece for piece in pieces if len(piece) > 2}
    count = max((piece[1] for piece in numbered.values()), default=0)
    if set(numbered) != set(range(1, count + 1)):
        warnings.append("The ICC profile is incomplete and was left out; sRGB is assumed.")
        return None
    return b"".join(numbered[number][2:] for number in range(1, count + 1))


def _joined_xmp(packet: bytes | None, pieces: list[bytes], warnings: list[str]) -> bytes | None:
    """The packet, with its extension in it: 32 digits, full length, offset, then the piece."""
    if packet is None or not pieces:
        return packet
    try:
        wanted = (xmp_extension.extension_of(packet) or "").encode()
        ours = {int.from_bytes(p[36:40], "big"): p[40:] for p in pieces if wanted and p[:32] == wanted}
        extension = b"".join(ours[offset] for offset in sorted(ours))
        return xmp_extension.joined(packet, extension) if extension else packet
    except MetadataMalformed as error:
        warnings.append(f"Part of the XMP was left out: {error}")
        return packet


def _density(jfif: bytes) -> tuple[float, float] | None:
    """Dots per inch of a JFIF header: version, unit (1 inch, 2 centimetre), two numbers."""
    scale = {1: 1.0, 2: 2.54}.get(jfif[2]) if len(jfif) >= 7 else None
    across, down = int.from_bytes(jfif[3:5], "big"), int.from_bytes(jfif[5:7], "big")
    return (across * scale, down * scale) if scale and across and down else None


def embed(plain: bytes, blocks: Blocks) -> tuple[bytes, tuple[str, ...]]:
    """The JPEG that `encode` made with these blocks in it, and what did not fit."""
    warnings: list[str] = []
    head = [plain[:2], _segment(APP0, _JFIF + _density_bytes(blocks.dots_per_inch))]
    if blocks.exif:
        head += _exif_segments(blocks.exif, warnings)
    if blocks.xmp:
        head += _xmp_segments(blocks.xmp, warnings)
    if blocks.iptc:
        head += [_segment(APP13, _IRB + piece) for piece in _pieces(photoshop.wrapped(blocks.iptc), _IRB)]
    if blocks.icc:
        pieces = _pieces(blocks.icc, _ICC + b"..")
        if len(pieces) < 256:
            head += [_segment(APP2, _ICC + bytes((i, len(pieces))) + p) for i, p in enumerate(pieces, 1)]
        else:
            warnings.append("The ICC profile is too long for a JPEG and was left out.")
    after_jfif = 4 + int.from_bytes(plain[4:6], "big") if plain[2:4] == b"\xff\xe0" else 2
    return b"".join([*head, memoryview(plain)[after_jfif:]]), tuple(warnings)


def _segment(marker: int, payload: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(payload) + 2).to_bytes(2, "big") + payload


def _pieces(content: bytes, label: bytes) -> list[bytes]:
    """Content cut so that each piece fits into a segment after the label."""
    room = _MAX_PAYLOAD - len(label)
    return [content[at : at + room] for at in range(0, len(content), room)]


def _density_bytes(dots_per_inch: tuple[float, float] | None) -> bytes:
    """What a JFIF 1.01 header says after its name; without resolution the pixels are square."""
    across, down = (min(max(round(value), 1), 0xFFFF) for value in dots_per_inch or (1, 1))
    unit = 1 if dots_per_inch else 0
    return bytes((1, 1, unit)) + across.to_bytes(2, "big") + down.to_bytes(2, "big") + b"\0\0"


def _exif_segments(block: bytes, warnings: list[str]) -> list[bytes]:
    room = _MAX_PAYLOAD - len(_EXIF)
    if len(block) > room:
        try:
            block = exif.assembled(exif.read(block), maker_note=False) or b""
        except MetadataMalformed:
            block = b""
        lost = "maker note" if 0 < len(block) <= room else "EXIF block"
        warnings.append(f"The {lost} is too long for a JPEG and was left out.")
    return [_segment(APP1, _EXIF + block)] if 0 < len(block) <= room else []


def _xmp_segments(packet: bytes, warnings: list[str]) -> list[bytes]:
    room = _MAX_PAYLOAD - len(_XMP)
    if len(packet) <= room:
        return [_segment(APP1, _XMP + packet)]
    try:
        main, extension, name = xmp_extension.split(packet, room)
    except MetadataMalformed:
        warnings.append("The XMP is too long for a JPEG and was left out.")
        return []
    size, room = len(extension).to_bytes(4, "big"), _MAX_PAYLOAD - len(_MORE_XMP) - 40
    return [_segment(APP1, _XMP + main)] + [
        _segment(APP1, _MORE_XMP + name.encode() + size + at.to_bytes(4, "big") + extension[at : at + room])
        for at in range(0, len(extension), room)
    ]
