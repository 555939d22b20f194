"""Small files that are made to cost much: each is refused by name before it does."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from bridge.errors import BridgeError, ImageError, ImageTooLarge, MetadataMalformed, ProfileError
from bridge.imaging import icc
from bridge.imaging.codecs import Format, decode, encode, inspect
from bridge.imaging.containers import ifd, png, xmp, xmp_extension
from bridge.imaging.containers import tiff_layout as tags
from bridge.imaging.image import Image
from bridge.imaging.profiles import built_in
from tests.imaging.samples import pixels

PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about=""%s>%s</rdf:Description></rdf:RDF></x:xmpmeta>'
)
SECONDS = 5.0
"""Of the processor; each of these took minutes, or all memory, before it was refused."""


@contextmanager
def quickly() -> Iterator[None]:
    """What the block does takes little time."""
    began = time.process_time()
    yield
    assert time.process_time() - began < SECONDS


@contextmanager
def cheaply(most_bytes: int = 64 << 20) -> Iterator[None]:
    """What the block does takes little memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most_bytes
    finally:
        tracemalloc.stop()


def test_a_tag_of_a_megabyte_of_spaces_costs_its_length() -> None:
    with quickly():
        found = xmp.parse(PACKET % (b" " * 10**6 + b'xmlns:n="u" n:p = "1"' + b"\n" * 10**6, b""))
    assert found.value(("u", "p")) == "1"


@pytest.mark.parametrize(
    ("attributes", "content"),
    [
        (b"", b"<a/>" * 700_000),
        (b"".join(b' a%d=""' % number for number in range(600_000)), b""),
        (b"".join(b' xmlns:n%d="u"' % number for number in range(2_000)), b'<a xmlns:b="c"/>' * 2_000),
        (b' xmlns:n="%s"' % (b"u" * 10**6), b"<n:a/>" * 10_000),
        (b"", b"<a>" * 200 + b"</a>" * 200),
    ],
    ids=["elements", "attributes", "prefixes", "a long namespace", "depth"],
)
def test_xmp_with_more_than_any_editor_writes_is_refused(attributes: bytes, content: bytes) -> None:
    packet = PACKET % (attributes, content)
    with quickly(), pytest.raises(MetadataMalformed):
        xmp.parse(packet)


def test_an_extension_whose_descriptions_each_need_every_prefix_is_refused() -> None:
    declared = b"".join(b' xmlns:n%d="http://example.com/%d"' % (number, number) for number in range(1_000))
    extension = PACKET.replace(b"<rdf:RDF", b"<rdf:RDF" + declared) % (b"", b"")
    extension = extension.replace(b"</rdf:RDF>", b"<rdf:Description/>" * 20_000 + b"</rdf:RDF>")
    with cheaply(), pytest.raises(MetadataMalformed):
        xmp_extension.joined(PACKET % (b"", b""), extension)


def test_a_profile_whose_tags_all_are_the_whole_profile_is_refused() -> None:
    size = 4 << 20
    table = b"".join(struct.pack(">4sII", b"t%03d" % number, 0, size) for number in range(200))
    profile = (built_in("sRGB")[:128] + (200).to_bytes(4, "big") + table).ljust(size, b"\0")
    with cheaply(8 << 20), pytest.raises(ProfileError):
        icc.parse(profile)


def chunk(kind: bytes, payload: bytes) -> bytes:
    return (
        len(payload).to_bytes(4, "big")
        + kind
        + payload
        + zlib.crc32(payload, zlib.crc32(kind)).to_bytes(4, "big")
    )


def with_chunks(*more: bytes) -> bytes:
    """A small PNG with these behind its header."""
    data = encode(Image(pixels(4, 4, 3, "uint8")), Format.PNG).data
    return data[:33] + b"".join(more) + data[33:]


@pytest.mark.parametrize(
    "keyword", [b"Comment %d", b"Raw profile type exif", b"Raw profile type x%d", b"XML:com.adobe.xmp"]
)
def test_text_chunks_that_inflate_are_read_once_or_not_at_all(keyword: bytes) -> None:
    inflating = zlib.compress(bytes(31 << 20), 9)
    names = [keyword % number if b"%" in keyword else keyword for number in range(40)]
    data = with_chunks(*(chunk(b"zTXt", name + b"\0\0" + inflating) for name in names))
    with cheaply(128 << 20):
        assert inspect(data).width == 4


def test_a_damaged_chunk_is_told_once() -> None:
    data = with_chunks(*[chunk(b"zTXt", b"Raw profile type exif\0\0nothing")] * 1_000)
    assert len(decode(data, max_megapixels=1).metadata.warnings) == 1


def test_more_chunks_than_any_editor_writes_are_refused() -> None:
    with quickly(), pytest.raises(ImageError, match="chunks"):
        inspect(with_chunks(chunk(b"abCd", b"") * (png._MAX_CHUNKS + 1)))


def tiff(width: int, height: int, segments: int, **fields: ifd.Field) -> bytes:
    """A gray TIFF all of whose segments are the same few bytes."""
    whole = {
        tags.WIDTH: ifd.field("<", ifd.LONG, width),
        tags.HEIGHT: ifd.field("<", ifd.LONG, height),
        tags.BITS: ifd.field("<", ifd.SHORT, 8),
        tags.PHOTOMETRIC: ifd.field("<", ifd.SHORT, tags.BLACK_IS_ZERO),
        tags.STRIP_OFFSETS: ifd.Field(ifd.LONG, segments, np.full(segments, 8, "<u4").tobytes()),
        tags.STRIP_BYTES: ifd.Field(ifd.LONG, segments, np.full(segments, 8, "<u4").tobytes()),
    }
    whole |= {getattr(tags, name): field for name, field in fields.items()}
    return ifd.header("<", 16) + b"\x55" * 8 + ifd.laid_out("<", whole, 16)


def test_strips_of_a_row_each_cost_what_they_hold() -> None:
    data = tiff(8, 30_000, 30_000, ROWS_PER_STRIP=ifd.field("<", ifd.LONG, 1))
    with quickly():
        assert decode(data, max_megapixels=1).pixels.shape == (30_000, 8, 1)


@pytest.mark.parametrize(
    ("bomb", "error"),
    [
        (lambda: tiff(1, 400_000, 400_000, ROWS_PER_STRIP=ifd.field("<", ifd.LONG, 1)), ImageError),
        (lambda: tiff(10_000, 10_000, 1, SAMPLES=ifd.field("<", ifd.SHORT, 30)), ImageTooLarge),
        (
            lambda: tiff(
                *(1, 1_000, 1_000),
                TILE_WIDTH=ifd.field("<", ifd.LONG, 1 << 24),
                TILE_HEIGHT=ifd.field("<", ifd.LONG, 1),
                TILE_OFFSETS=ifd.Field(ifd.LONG, 1_000, np.full(1_000, 8, "<u4").tobytes()),
                TILE_BYTES=ifd.Field(ifd.LONG, 1_000, np.full(1_000, 8, "<u4").tobytes()),
            ),
            ImageError,
        ),
    ],
    ids=["strips", "channels", "tiles"],
)
def test_a_tiff_that_unpacks_to_more_than_its_picture_is_refused(
    bomb: Callable[[], bytes], error: type[BridgeError]
) -> None:
    data = bomb()
    with cheaply(), pytest.raises(error):
        decode(data, max_megapixels=100)


def test_many_scans_are_refused_the_sooner_the_larger_the_picture() -> None:
    data = bytearray(encode(Image(pixels(16, 16, 1, "uint8")), Format.JPEG).data)
    at = data.index(b"\xff\xda")
    scan = bytes(data[at:-2])
    data[at:-2] = scan * 30
    frame = data.index(b"\xff\xc0") + 5
    data[frame : frame + 4] = struct.pack(">HH", 12_000, 12_000)
    with quickly(), pytest.raises(ImageError, match="30 scans"):
        decode(data, max_megapixels=250)
