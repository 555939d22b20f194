"""PNG: its chunks, its header, its pixels. Knows what a block is called, not what it says.

W3C PNG (Third Edition); libpng, through imagecodecs, reads the pixels.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace

import imagecodecs
import numpy as np

from bridge.errors import EncodingFailed, ImageError, ImageTruncated, PixelsUnsupported
from bridge.imaging.containers import photoshop, png_colour
from bridge.imaging.containers.blocks import Blocks
from bridge.imaging.containers.formats import Format, Header
from bridge.imaging.image import Array, Pixels

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_CRITICAL = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
_XMP_KEYWORD = b"XML:com.adobe.xmp"
_RAW_PROFILE = b"Raw profile type "  # ImageMagick's convention, which ExifTool and others share
_MAX_TEXT = 32 << 20  # bytes that all compressed chunks together may become
_METRES_PER_INCH = 0.0254
_MAX_CHUNKS = 500_000  # IDAT chunks of 8 KiB, as libpng writes them, reach 4 GB
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_MAX_KEYWORD = 80  # bytes, with the zero that ends it
_ALIASES = {b"app1": b"exif", b"icm": b"icc"}
_GRAY = (b"\0", b"\4")  # colour types
_CARRIED = {b"IHDR", b"pHYs", b"eXIf", _XMP_KEYWORD, *png_colour.STATEMENTS}
_CARRIED |= {b"exif", b"xmp", b"iptc", b"8bim"}  # as ImageMagick names them, and a profile icc
_WRITTEN_BY_HAND = (b"Title", b"Author", b"Description", b"Copyright", b"Disclaimer")  # keywords of texts
_LEVEL = 2  # libdeflate: the noise of a photo does not compress, however long one tries
_AVERAGE = 3  # the filter's number
_PIECE = 1 << 24  # bytes of compressed pixels in one chunk
_BAND = 64  # rows filtered at a time
_MAX_SIDE = 1_000_000  # libpng's own limit


# libpng's remark on how imagecodecs calls it; the pixels of interlaced pictures are right all the same.
logging.getLogger("imagecodecs").addFilter(lambda record: "Interlace handling" not in record.getMessage())


@dataclass(frozen=True)
class Chunk:
    """One chunk: its four letters, its content, and all its bytes."""

    kind: bytes
    payload: memoryview
    whole: memoryview


def chunks(data: memoryview) -> Iterator[Chunk]:
    """Every chunk up to and including IEND; checksums are left to libpng.

    Raises:
        ImageTruncated: the file ends before IEND.
        ImageError: more chunks than any editor writes.
    """
    at = len(SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8])
        if len(data) < at + length + 12:
            raise ImageTruncated("The PNG ends inside a chunk.")
        yield Chunk(kind, data[at + 8 : at + 8 + length], data[at : at + 12 + length])
        if kind == b"IEND":
            return
        at += length + 12
    raise ImageError("The PNG has more chunks than any editor writes.")


def header(data: memoryview) -> Header:
    """Size and depth from IHDR, channels from IHDR and tRNS.

    Raises:
        PixelsUnsupported: an animation, or values that are HDR.
        ImageTruncated, ImageError: no header, or a broken one.
    """
    found: Header | None = None
    for chunk in chunks(data):
        if found is None:
            found = _ihdr(chunk)
        elif chunk.kind == b"acTL" and int.from_bytes(chunk.payload[:4], "big") > 1:
            raise PixelsUnsupported("The PNG is an animation.", hint="Save one picture of it as a PNG.")
        elif chunk.kind == b"tRNS" and found.channels in (1, 3):
            found = replace(found, channels=found.channels + 1)
        elif chunk.kind == png_colour.CICP:
            png_colour.refuse_hdr(bytes(chunk.payload))
        elif chunk.kind == b"IDAT":
            return found
    raise ImageError("The PNG has no picture in it.")


def _ihdr(chunk: Chunk) -> Header:
    if chunk.kind != b"IHDR" or len(chunk.payload) != 13:
        raise ImageError("The PNG does not begin with its header.")
    width, height = int.from_bytes(chunk.payload[:4], "big"), int.from_bytes(chunk.payload[4:8], "big")
    depth, colour = chunk.payload[8], chunk.payload[9]
    if depth not in _DEPTHS.get(colour, ()) or not width or not height:
        raise ImageError("The PNG's header makes no sense.")
    return Header(Format.PNG, width, height, _CHANNELS[colour], 16 if depth == 16 else 8)


def decode(data: memoryview, header: Header) -> Pixels:
    """H x W x 1..4 uint8 or uint16; palettes and 1, 2 and 4 bits are expanded to 8 bits.

    Raises:
        ImageTruncated: no IEND chunk, so part of the picture is missing.
        ImageError: damaged.
    """
    pieces: list[bytes | memoryview] = [SIGNATURE]
    for chunk in chunks(data):  # walks to the end: libpng is content with a file that lacks it
        if chunk.kind in _CRITICAL:  # libpng prints what it thinks of other chunks
            pieces.append(chunk.whole)
    try:
        pixels: Array = imagecodecs.png_decode(b"".join(pieces))
        return pixels.reshape(header.height, header.width, header.channels)
    except (RuntimeError, ValueError) as error:
        raise ImageError(f"The PNG is damaged: {error}.") from error


def encode(pixels: Pixels, blocks: Blocks) -> bytes:
    """A PNG of H x W x 1..4 uint8 or uint16 with these blocks in it; there is room for all of them.

    Every row is filtered with Average, which on photographs of 8 and 16 bits comes out as small as
    choosing a filter for each row, and can be computed for many rows at once.

    Raises:
        EncodingFailed: a side is longer than libpng, and so most programs, would read.
    """
    height, width, channels = pixels.shape
    if max(height, width) > _MAX_SIDE:
        raise EncodingFailed(f"A PNG's sides are at most {_MAX_SIDE} pixels.")
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    ihdr = struct.pack(">IIBBBBB", width, height, pixels.dtype.itemsize * 8, colour, 0, 0, 0)
    idat: list[bytes | memoryview] = []
    stream = _compressed(_filtered(pixels))
    for at in range(0, len(stream), _PIECE):
        idat += _parts(b"IDAT", stream[at : at + _PIECE])
    return b"".join([SIGNATURE, _chunk(b"IHDR", ihdr), *_block_chunks(blocks), *idat, _chunk(b"IEND", b"")])


def _compressed(filtered: memoryview) -> memoryview:
    """A zlib stream."""
    return memoryview(imagecodecs.deflate_encode(filtered, level=_LEVEL))  # type: ignore[arg-type]  # takes any buffer


def _filtered(pixels: Pixels) -> memoryview:
    """The rows as big-endian bytes, each minus the mean of its neighbours to the left and above."""
    height, width, channels = pixels.shape
    stride, size = channels * pixels.dtype.itemsize, width * channels * pixels.dtype.itemsize
    filtered = np.empty((height, 1 + size), np.uint8)
    filtered[:, 0] = _AVERAGE
    above = np.zeros((1, size), np.uint8)
    for top in range(0, height, _BAND):
        band = np.ascontiguousarray(pixels[top : top + _BAND], pixels.dtype.newbyteorder(">"))
        rows = band.view(np.uint8).reshape(len(band), size)
        up = np.concatenate([above, rows[:-1]])
        left = np.zeros_like(rows)
        left[:, stride:] = rows[:, :-stride]
        mean = (left & up) + ((left ^ up) >> 1)  # without the ninth bit that left + up would need
        np.subtract(rows, mean, out=filtered[top : top + _BAND, 1:])
        above = rows[-1:]
    return filtered.reshape(-1).data


# --- blocks -----------------------------------------------------------------


def blocks(data: memoryview) -> Blocks:
    """The raw blocks, from their own chunks or else from ImageMagick's text chunks.

    The profile may be one of our own, where the file only names a colour space.
    """
    found: dict[bytes, bytes] = {}
    warnings: list[str] = []
    seen: set[bytes] = set()  # also what was damaged: trying again and again is what a bomb wants
    room = _MAX_TEXT
    lost: set[bytes] = set()
    for chunk in chunks(data):
        label = _label(chunk)
        if label in _WRITTEN_BY_HAND:
            lost.add(label)
        if label not in _CARRIED or label in seen:
            continue
        seen.add(label)
        try:
            found[label] = _content(chunk, room)
            room -= len(found[label])
        except (ValueError, zlib.error):
            warnings.append(f"The PNG's {chunk.kind.decode('latin-1')} chunk is damaged and was left out.")
    profile, doubts = png_colour.profile_of(found, gray=found.get(b"IHDR", b"")[9:10] in _GRAY)
    warnings += doubts
    if lost:
        named = ", ".join(word.decode() for word in _WRITTEN_BY_HAND if word in lost)
        warnings.append(f"The PNG's own texts are not carried over: {named}.")
    iptc = found.get(b"iptc", found.get(b"8bim"))
    warnings += photoshop.losses(iptc or b"")
    return Blocks(
        exif=_without_label(found.get(b"eXIf", found.get(b"exif"))),
        xmp=found.get(_XMP_KEYWORD, found.get(b"xmp")),
        iptc=photoshop.iptc(iptc) or (iptc if iptc.startswith(b"\x1c") else None) if iptc else None,
        icc=profile,
        dots_per_inch=_density(found.get(b"pHYs", b"")),
        speaks_of_colour=bool(seen & png_colour.STATEMENTS),
        warnings=tuple(warnings),
    )


def _label(chunk: Chunk) -> bytes:
    """The name of what a chunk carries: of text its keyword, else its four letters."""
    if chunk.kind not in _TEXTS:
        return chunk.kind
    keyword = bytes(chunk.payload[:_MAX_KEYWORD]).partition(b"\0")[0]
    if not keyword.startswith(_RAW_PROFILE):
        return keyword
    name = keyword.removeprefix(_RAW_PROFILE).lower()
    return _ALIASES.get(name, name)


def _content(chunk: Chunk, room: int) -> bytes:
    """What a chunk carries, inflated to at most `room` bytes.

    Raises:
        ValueError, zlib.error: the chunk is damaged.
    """
    payload = bytes(chunk.payload)
    if chunk.kind == b"iCCP":
        return _inflated(payload[payload.index(0) + 2 :], room)
    if chunk.kind not in _TEXTS:
        return payload
    keyword, _, rest = payload.partition(b"\0")
    if chunk.kind == b"zTXt":
        rest = _inflated(rest[1:], room)
    elif chunk.kind == b"iTXt":
        compressed = rest[:1] == b"\1"
        _, _, rest = rest[2:].split(b"\0", 2)  # language and translated keyword
        rest = _inflated(rest, room) if compressed else rest
    if not keyword.startswith(_RAW_PROFILE):
        return rest
    _, _length, digits = rest.lstrip().split(maxsplit=2)  # name, length, hexadecimal
    return bytes.fromhex(digits.decode("ascii"))


def _inflated(compressed: bytes, room: int) -> bytes:
    """zlib data, which must be whole and fit."""
    stream = zlib.decompressobj()
    content = stream.decompress(compressed, max(room, 1))  # 0 would mean: as much as there is
    if not stream.eof:
        raise ValueError("too long, or cut short")
    return content


def _without_label(block: bytes | None) -> bytes | None:
    """EXIF without the label of a JPEG segment, which some writers leave on."""
    return block.removeprefix(b"Exif\0\0") if block else None


def _density(physical: bytes) -> tuple[float, float] | None:
    """Dots per inch of a pHYs chunk, whose numbers are per metre and whole."""
    if len(physical) != 9 or physical[8] != 1:
        return None
    across, down, _ = struct.unpack(">IIB", physical)
    return (_round(across * _METRES_PER_INCH), _round(down * _METRES_PER_INCH)) if across and down else None


def _round(dots: float) -> float:
    """The whole number that was meant: 300 dpi comes back from a PNG as 299.9994."""
    return round(dots) if abs(dots - round(dots)) < _METRES_PER_INCH / 2 else dots


def _block_chunks(blocks: Blocks) -> list[bytes]:
    head = []
    if blocks.icc:
        head.append(_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(blocks.icc, 9)))
    if blocks.dots_per_inch:
        across, down = (round(value / _METRES_PER_INCH) for value in blocks.dots_per_inch)
        head.append(_chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if blocks.exif:
        head.append(_chunk(b"eXIf", blocks.exif))
    if blocks.xmp:
        head.append(_chunk(b"iTXt", _XMP_KEYWORD + b"\0\0\0\0\0" + blocks.xmp))
    if blocks.iptc:
        wrapped = photoshop.wrapped(blocks.iptc)
        text = b"\niptc\n%8d\n%s\n" % (len(wrapped), wrapped.hex().encode())
        head.append(_chunk(b"zTXt", _RAW_PROFILE + b"iptc\0\0" + zlib.compress(text, 9)))
    return head


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return b"".join(_parts(kind, payload))


def _parts(kind: bytes, payload: bytes | memoryview) -> list[bytes | memoryview]:
    """A chunk in pieces, so that a large payload is not copied once more."""
    checksum = zlib.crc32(payload, zlib.crc32(kind))
    return [struct.pack(">I", len(payload)), kind, payload, struct.pack(">I", checksum)]
