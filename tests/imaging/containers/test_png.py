from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import PngImagePlugin

from bridge.errors import ImageError, PixelsUnsupported
from bridge.imaging.codecs import Format, decode, encode, inspect
from bridge.imaging.image import Image, Metadata
from bridge.imaging.profiles import built_in
from tests.imaging.samples import IPTC, XMP, exif_block, pixels

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", zlib.crc32(kind + payload))


def png(
    size: tuple[int, int], bits: int, colour: int, rows: bytes, *extra: bytes, interlaced: bool = False
) -> bytes:
    """A PNG of unfiltered rows, each with its filter byte."""
    header = struct.pack(">IIBBBBB", *size, bits, colour, 0, 0, interlaced)
    body = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@given(st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 2, 4]), st.booleans())
def test_few_bits_spread_over_eight(width: int, height: int, bits: int, transparent: bool) -> None:
    levels = np.random.default_rng(width).integers(0, 2**bits, (height, width), np.uint8)
    size = -(-width * bits // 8)
    rows = b"".join(
        b"\0" + int("".join(f"{v:0{bits}b}" for v in row).ljust(size * 8, "0"), 2).to_bytes(size, "big")
        for row in levels
    )
    extra = [chunk(b"tRNS", b"\0\1")] if transparent else []
    data = png((width, height), bits, 0, rows, *extra)
    found = decode(data, max_megapixels=1).pixels
    assert np.array_equal(found[..., 0], levels * (255 // (2**bits - 1)))
    assert inspect(data).channels == found.shape[2] == 1 + transparent
    if transparent:
        assert np.array_equal(found[..., 1], np.where(levels == 1, 0, 255))


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_becomes_rgb(transparent: bool) -> None:
    palette = bytes(range(48))
    indices = np.random.default_rng(1).integers(0, 16, (5, 7), np.uint8)
    extra = [chunk(b"PLTE", palette)] + ([chunk(b"tRNS", bytes((0, 128)))] if transparent else [])
    data = png((7, 5), 8, 3, b"".join(b"\0" + bytes(row) for row in indices), *extra)
    found = decode(data, max_megapixels=1).pixels
    assert np.array_equal(found[..., :3], np.frombuffer(palette, np.uint8).reshape(16, 3)[indices])
    assert found.shape[2] == (4 if transparent else 3)
    if transparent:
        assert np.array_equal(found[..., 3], np.choose(np.minimum(indices, 2), [0, 128, 255]))


def test_a_transparent_colour_of_sixteen_bits() -> None:
    picture = pixels(4, 4, 3, "uint16")
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in picture)
    data = png((4, 4), 16, 2, rows, chunk(b"tRNS", picture[1, 2].astype(">u2").tobytes()))
    found = decode(data, max_megapixels=1).pixels
    assert np.array_equal(found[..., :3], picture)
    assert found[1, 2, 3] == 0
    assert (found[..., 3] == 0).sum() == 1


def adam7(picture: NDArray[Any], bits: int) -> bytes:
    """The unfiltered rows of an interlaced picture, H x W x C."""
    rows = b""
    for left, top, across, down in ADAM7:
        smaller = picture[top::down, left::across]
        for row in smaller if smaller.shape[1] else ():
            packed = np.packbits(row) if bits == 1 else row.astype(picture.dtype.newbyteorder(">"))
            rows += b"\0" + packed.tobytes()
    return rows


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.sampled_from(["uint8", "uint16"]))
def test_interlaced_pictures(height: int, width: int, channels: int, dtype: str) -> None:
    picture = pixels(height, width, channels, dtype)
    bits, colour = picture.dtype.itemsize * 8, {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    data = png((width, height), bits, colour, adam7(picture, bits), interlaced=True)
    assert np.array_equal(decode(data, max_megapixels=1).pixels, picture)


def test_interlaced_bits_and_palettes(caplog: pytest.LogCaptureFixture) -> None:
    """And libpng's remark on all interlaced pictures reaches no log."""
    levels = np.random.default_rng(0).integers(0, 2, (9, 13, 1), np.uint8)
    bitmap = png((13, 9), 1, 0, adam7(levels, 1), interlaced=True)
    assert np.array_equal(decode(bitmap, max_megapixels=1).pixels, levels * 255)
    colours = [chunk(b"PLTE", bytes(range(6))), chunk(b"tRNS", b"\x10")]
    palette = png((13, 9), 8, 3, adam7(levels, 8), *colours, interlaced=True)
    table = np.array([[0, 1, 2, 16], [3, 4, 5, 255]], np.uint8)
    assert np.array_equal(decode(palette, max_megapixels=1).pixels, table[levels[..., 0]])
    assert caplog.records == []


@given(st.integers(1, 150), st.integers(1, 40), st.integers(1, 4))
def test_pillow_reads_what_we_write(height: int, width: int, channels: int) -> None:
    picture = pixels(height, width, channels, "uint8")
    with Pillow.open(io.BytesIO(encode(Image(picture), Format.PNG).data)) as opened:
        assert np.array_equal(np.asarray(opened).reshape(picture.shape), picture)


def test_pillow_finds_our_blocks() -> None:
    riding = Metadata(exif=exif_block(), xmp=XMP, iptc=IPTC, dots_per_inch=(300, 240))
    data = encode(Image(pixels(4, 4, 3, "uint8"), built_in("Display P3"), riding), Format.PNG).data
    with Pillow.open(io.BytesIO(data)) as opened:
        opened.load()
        assert opened.info["icc_profile"] == built_in("Display P3")
        assert opened.info["exif"].removeprefix(b"Exif\0\0") == exif_block()
        assert opened.info["XML:com.adobe.xmp"].encode() == XMP
        assert opened.info["dpi"] == pytest.approx((300, 240), abs=0.01)
        assert IPTC.hex() in opened.info["Raw profile type iptc"].replace("\n", "")


def test_imagemagicks_text_profiles_are_read() -> None:
    def raw(name: str, content: bytes) -> tuple[str, str]:
        digits = content.hex()
        lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
        return f"Raw profile type {name}", f"\n{name}\n{len(content):8d}\n{lines}\n"

    text = PngImagePlugin.PngInfo()
    for name, content in (
        ("APP1", b"Exif\0\0" + exif_block()),
        ("iptc", IPTC),
        ("xmp", XMP),
        ("icc", built_in("sRGB")),
    ):
        text.add_text(*raw(name, content), zip=True)
    out = io.BytesIO()
    Pillow.fromarray(pixels(4, 4, 3, "uint8")).save(out, "PNG", pnginfo=text)
    found = decode(out.getvalue(), max_megapixels=1)
    assert (found.metadata.exif, found.metadata.iptc, found.metadata.xmp) == (exif_block(), IPTC, XMP)
    assert found.icc == built_in("sRGB")


@pytest.mark.parametrize(
    "damaged",
    [
        chunk(b"iCCP", b"x\0\0garbage"),
        chunk(b"iCCP", b"no end"),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n  4\nzz zz")),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0oops"),
        chunk(b"iCCP", b"bomb\0\0" + zlib.compress(bytes(40 << 20))),
    ],
)
def test_a_damaged_chunk_does_not_cost_the_picture(damaged: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    rows = b"\0" + bytes(range(12))
    found = decode(png((4, 1), 8, 2, rows, damaged), max_megapixels=1)
    assert found.pixels.ravel().tolist() == list(range(12))
    assert "left out" in found.metadata.warnings[0]
    assert capfd.readouterr().err == ""


ROW = b"\0" + bytes(range(12))
SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
ADOBE_POINTS = (31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)
P3_POINTS = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def cicp(*numbers: int) -> bytes:
    return chunk(b"cICP", bytes(numbers))


def gamma(value: int) -> bytes:
    return chunk(b"gAMA", struct.pack(">I", value))


def primaries(points: tuple[int, ...], off: int = 0) -> bytes:
    return chunk(b"cHRM", struct.pack(">8I", *(point + off for point in points)))


def embedded(profile: bytes) -> bytes:
    return chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(profile))


@pytest.mark.parametrize(
    ("statements", "name"),
    [
        ([cicp(1, 13, 0, 1)], "sRGB"),
        ([cicp(12, 13, 0, 1)], "Display P3"),
        ([chunk(b"sRGB", b"\0"), gamma(100_000)], "sRGB"),
        ([gamma(45_455), primaries(SRGB_POINTS)], "sRGB"),
        ([gamma(45_454), primaries(SRGB_POINTS, -1)], "sRGB"),
        ([gamma(45_471), primaries(ADOBE_POINTS)], "Adobe RGB (1998)"),
        ([gamma(45_455), primaries(P3_POINTS, 3)], "Display P3"),
    ],
)
def test_a_colour_space_that_is_only_named_is_embedded(statements: list[bytes], name: str) -> None:
    found = decode(png((4, 1), 8, 2, ROW, *statements), max_megapixels=1)
    assert found.icc == built_in(name)
    assert found.metadata.warnings == ()
    again = decode(encode(found, Format.PNG).data, max_megapixels=1)
    assert again.icc == built_in(name)


def test_what_names_a_colour_space_gives_way_in_the_order_of_the_standard() -> None:
    profile, three = embedded(built_in("ProPhoto RGB")), chunk(b"sRGB", b"\0")
    rest = [gamma(45_455), primaries(ADOBE_POINTS)]

    def icc(*statements: bytes) -> bytes | None:
        return decode(png((4, 1), 8, 2, ROW, *statements), max_megapixels=1).icc

    assert icc(*rest, three, profile, cicp(12, 13, 0, 1)) == built_in("Display P3")
    assert icc(*rest, three, profile, cicp(9, 1, 0, 1)) == built_in("ProPhoto RGB")
    assert icc(*rest, three, profile) == built_in("ProPhoto RGB")
    assert icc(*rest, three) == built_in("sRGB")
    assert icc(*rest) == built_in("Adobe RGB (1998)")


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("extra", [[], [embedded(built_in("sRGB"))]])
def test_hdr_values_are_refused_with_advice(transfer: int, extra: list[bytes]) -> None:
    data = png((4, 1), 8, 2, ROW, cicp(9, transfer, 0, 1), *extra)
    for read in (inspect, lambda data: decode(data, max_megapixels=1)):
        with pytest.raises(PixelsUnsupported, match="HDR") as refused:
            read(data)
        assert "Export" in refused.value.hint


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ([cicp(9, 1, 0, 1)], "cICP"),
        ([cicp(1, 13, 0, 0)], "cICP"),
        ([cicp(1, 13)], "cICP"),
        ([gamma(100_000)], "gamma"),
        ([gamma(45_300)], "gamma"),
        ([gamma(100_000), primaries(SRGB_POINTS)], "gamma and primaries"),
        ([gamma(45_455), primaries((*SRGB_POINTS[:4], 29_000, *SRGB_POINTS[5:]))], "primaries"),
        ([primaries(ADOBE_POINTS)], "primaries"),
        ([gamma(45_455), chunk(b"cHRM", b"short")], "primaries"),
    ],
)
def test_colour_that_is_not_understood_is_mentioned(statements: list[bytes], words: str) -> None:
    found = decode(png((4, 1), 8, 2, ROW, *statements), max_megapixels=1)
    assert found.icc is None
    assert words in found.metadata.warnings[0]


@pytest.mark.parametrize("statement", [gamma(45_455), gamma(45_454), primaries(SRGB_POINTS)])
def test_half_of_what_srgb_states_is_no_news(statement: bytes) -> None:
    found = decode(png((4, 1), 8, 2, ROW, statement), max_megapixels=1)
    assert (found.icc, found.metadata.warnings) == (None, ())


def test_a_profile_says_what_a_foreign_colour_space_does_not() -> None:
    data = png((4, 1), 8, 2, ROW, cicp(9, 1, 0, 1), embedded(built_in("ProPhoto RGB")))
    assert decode(data, max_megapixels=1).metadata.warnings == ()


@pytest.mark.parametrize(
    "statements",
    [[cicp(12, 13, 0, 1)], [chunk(b"sRGB", b"\0")], [gamma(45_455), primaries(ADOBE_POINTS)]],
)
def test_gray_has_no_primaries(statements: list[bytes]) -> None:
    found = decode(png((12, 1), 8, 0, ROW, *statements), max_megapixels=1)
    assert found.icc is None
    assert found.metadata.warnings == ()


def test_lost_texts_of_an_author_are_told() -> None:
    rows = b"\0" + bytes(12)
    texts = (
        chunk(b"tEXt", b"Copyright\0(c) Ana"),
        chunk(b"zTXt", b"Author\0\0" + zlib.compress(b"Ana")),
        chunk(b"iTXt", b"Author\0\0\0\0\0Ana"),
        chunk(b"tEXt", b"Software\0any editor"),
    )
    told = decode(png((4, 1), 8, 2, rows, *texts), max_megapixels=1).metadata.warnings
    assert told == ("The PNG's own texts are not carried over: Author, Copyright.",)
    assert decode(png((4, 1), 8, 2, rows, texts[-1]), max_megapixels=1).metadata.warnings == ()


def test_an_animation_is_refused_but_not_a_single_frame() -> None:
    rows = b"\0" + bytes(12)
    with pytest.raises(PixelsUnsupported, match="animation"):
        decode(png((4, 1), 8, 2, rows, chunk(b"acTL", struct.pack(">II", 3, 0))), max_megapixels=1)
    still = png((4, 1), 8, 2, rows, chunk(b"acTL", struct.pack(">II", 1, 0)))
    assert decode(still, max_megapixels=1).pixels.shape == (1, 4, 3)


@pytest.mark.parametrize(
    "data",
    [
        png((0, 1), 8, 2, b"\0"),
        png((1, 1), 3, 2, b"\0\0\0\0"),
        png((1, 1), 8, 5, b"\0\0\0\0"),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"") + chunk(b"IEND", b""),
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
        + chunk(b"IEND", b""),
        png((4, 4), 8, 2, b"\0\0"),
    ],
)
def test_nonsense_is_a_named_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        decode(data, max_megapixels=1)
