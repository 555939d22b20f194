from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow

from bridge.errors import ImageError, ImageTruncated, PixelsUnsupported
from bridge.imaging.codecs import Format, decode, encode, inspect
from bridge.imaging.containers import jpeg, xmp
from bridge.imaging.image import Image, Metadata
from bridge.imaging.profiles import built_in
from tests.imaging.samples import IPTC, XMP, exif_block, facts, pixels

LONG_XMP = XMP.replace(b"bride", b"".join(b"<rdf:li>%06d</rdf:li>" % i for i in range(9000)) + b"bride")


def saved(picture: Pillow.Image, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 2}, {"keep_rgb": True}, {"restart_marker_rows": 1}]
)
def test_pillows_jpegs_look_as_pillow_sees_them(options: dict[str, object]) -> None:
    smooth = np.kron(pixels(5, 6, 3, "uint8"), np.ones((8, 8, 1), np.uint8))
    data = saved(Pillow.fromarray(smooth), quality=95, **options)
    with Pillow.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened)
    assert np.abs(decode(data, max_megapixels=1).pixels.astype(int) - expected).max() <= 3


def test_pillow_finds_our_blocks() -> None:
    riding = Metadata(exif=exif_block(), xmp=XMP, iptc=IPTC, dots_per_inch=(300, 240))
    data = encode(Image(pixels(4, 4, 3, "uint8"), built_in("Display P3"), riding), Format.JPEG).data
    with Pillow.open(io.BytesIO(data)) as opened:
        assert opened.info["icc_profile"] == built_in("Display P3")
        assert opened.info["exif"].removeprefix(b"Exif\0\0") == exif_block()
        assert opened.info["xmp"] == XMP
        assert opened.info["dpi"] == (300, 240)
        assert opened.info["photoshop"][0x0404] == IPTC


@pytest.mark.parametrize("extra", [{}, {"comment": b"hello"}])
def test_pillows_blocks_are_found(extra: dict[str, bytes]) -> None:
    data = saved(
        Pillow.new("RGB", (8, 8)),
        exif=b"Exif\0\0" + exif_block(6),
        icc_profile=built_in("sRGB"),
        xmp=XMP,
        dpi=(96, 96),
        **extra,
    )
    assert inspect(data).orientation == 6
    found = decode(data, max_megapixels=1)
    assert found.icc == built_in("sRGB")
    assert found.metadata.xmp == XMP
    assert found.metadata.dots_per_inch == (300, 300)  # EXIF knows better than JFIF


def test_a_large_profile_takes_several_segments() -> None:
    profile = built_in("Display P3") + np.random.default_rng(0).bytes(150_000)
    data = encode(Image(pixels(4, 4, 3, "uint8"), profile), Format.JPEG).data
    assert decode(data, max_megapixels=1).icc == profile
    with Pillow.open(io.BytesIO(data)) as opened:
        assert opened.info["icc_profile"] == profile
    start = data.index(b"ICC_PROFILE\0\x02") - 4
    size = 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    without = decode(data[:start] + data[start + size :], max_megapixels=1)
    assert without.icc is None
    assert "incomplete" in without.metadata.warnings[0]


def test_xmp_too_long_for_a_segment_is_split_and_joined() -> None:
    data = encode(Image(pixels(4, 4, 3, "uint8"), None, Metadata(xmp=LONG_XMP)), Format.JPEG).data
    assert data.count(b"http://ns.adobe.com/xmp/extension/\0") > 1
    found = decode(data, max_megapixels=1).metadata
    assert found.warnings == ()
    assert found.xmp is not None
    assert found.xmp.count(b"<rdf:li>") == LONG_XMP.count(b"<rdf:li>")
    assert b"HasExtendedXMP" not in found.xmp
    before, after = xmp.parse(LONG_XMP), xmp.parse(found.xmp)
    assert {p.name for p in before.properties} == {p.name for p in after.properties}
    assert after.value(("http://ns.adobe.com/xap/1.0/", "Rating")) == "4"


def test_half_an_extension_is_left_out_with_a_warning() -> None:
    data = encode(Image(pixels(4, 4, 3, "uint8"), None, Metadata(xmp=LONG_XMP)), Format.JPEG).data
    start = data.rindex(b"http://ns.adobe.com/xmp/extension/\0") - 4
    size = 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    found = decode(data[:start] + data[start + size :], max_megapixels=1).metadata
    assert "Part of the XMP" in found.warnings[0]
    assert found.xmp is not None
    assert xmp.parse(found.xmp).value(("http://ns.adobe.com/xap/1.0/", "Rating")) == "4"


def test_exif_too_long_for_a_segment_loses_the_maker_note_only() -> None:
    exif = Pillow.Exif()
    exif[271] = "Canon"
    exif.get_ifd(34665).update({37500: bytes(100_000), 34855: 400})
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    encoded = encode(Image(pixels(4, 4, 3, "uint8"), None, Metadata(exif=block)), Format.JPEG)
    assert "maker note" in encoded.warnings[0]
    known = facts(decode(encoded.data, max_megapixels=1).metadata.exif)
    assert known["photo"] == {34855: 400}
    assert known["main"][271] == "Canon"


@pytest.mark.parametrize("inverted", [False, True])
def test_cmyk_is_refused_with_advice(inverted: bool) -> None:
    data = saved(Pillow.new("CMYK", (8, 8)))
    assert (b"Adobe" in data) is True
    if not inverted:
        at = data.index(b"\xff\xee")
        data = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    with pytest.raises(PixelsUnsupported, match="CMYK") as refused:
        decode(data, max_megapixels=1)
    assert "RGB" in refused.value.hint


def test_lossless_and_twelve_bit_jpegs_are_refused() -> None:
    lossless = imagecodecs.ljpeg_encode(pixels(8, 8, 1, "uint8")[..., 0])
    with pytest.raises(PixelsUnsupported, match="lossless"):
        decode(lossless, max_megapixels=1)
    plain = bytearray(encode(Image(pixels(8, 8, 1, "uint8")), Format.JPEG).data)
    plain[plain.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(PixelsUnsupported, match="12 bits"):
        decode(bytes(plain), max_megapixels=1)


def test_a_picture_without_end_marker_is_truncated() -> None:
    data = encode(Image(pixels(64, 64, 3, "uint8")), Format.JPEG).data
    for end in (len(data) - 1, len(data) - 2, len(data) // 2):
        with pytest.raises(ImageTruncated):
            decode(data[:end], max_megapixels=1)
    assert decode(data + b"what cameras append", max_megapixels=1).pixels.shape == (64, 64, 3)


def test_a_picture_of_endless_scans_is_refused() -> None:
    data = saved(Pillow.fromarray(pixels(64, 64, 3, "uint8")), progressive=True)
    at = data.index(b"\xff\xda")
    scan = b"\xff\xda" + struct.pack(">HB", 8, 1) + b"\1\0\x01\x3f\0" + b"\0"
    with pytest.raises(ImageError, match="scans"):
        decode(data[:at] + scan * 300 + data[at:], max_megapixels=1)


def test_a_flood_of_segments_is_refused() -> None:
    with pytest.raises(ImageError, match="segments"):
        list(jpeg.segments(memoryview(b"\xff\xd8" + b"\xff\xe5\0\2" * 30_000)))


DAMAGED_KINDS: list[dict[str, object]] = [
    {},
    {"optimize": True},
    {"keep_rgb": True},
    {"subsampling": 0},
    {"progressive": True},
    {"restart_marker_blocks": 3},
    {"restart_marker_rows": 1},
]


def grainy(mode: str = "RGB") -> Pillow.Image:
    """A picture that looks like a photo to an encoder: colours that run into one another, and noise."""
    ramp = np.linspace(30, 220, 300) + np.linspace(0, 30, 200)[:, None]
    noise = np.random.default_rng(0).normal(0, 4, (200, 300, 3))
    photo = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2) + noise
    return Pillow.fromarray(np.clip(photo, 0, 255).astype(np.uint8)).convert(mode)


def half(data: bytes, filling: bytes) -> bytes:
    """The file as long as it was, its second half replaced, with its last marker."""
    end = len(data) // 2 - (data[len(data) // 2 - 1] == 0xFF)
    return data[:end] + filling * (len(data) - end - 2) + b"\xff\xd9"


@pytest.mark.parametrize("filling", [b"", b"\0", b"\xff"], ids=["missing", "zeros", "ones"])
@pytest.mark.parametrize("options", DAMAGED_KINDS)
def test_half_a_picture_with_an_end_marker_is_truncated(options: dict[str, object], filling: bytes) -> None:
    data = saved(grainy(), quality=92, **options)
    assert decode(data, max_megapixels=1).metadata.warnings == ()
    with pytest.raises(ImageTruncated, match="before all of the picture"):
        decode(half(data, filling), max_megapixels=1)


def test_half_a_gray_picture_with_an_end_marker_is_truncated() -> None:
    with pytest.raises(ImageTruncated):
        decode(half(saved(grainy("L"), quality=92), b""), max_megapixels=1)


@pytest.mark.parametrize("options", DAMAGED_KINDS)
@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("rows", [0, 100])
def test_a_plain_background_is_not_taken_for_a_missing_half(
    options: dict[str, object], level: int, rows: int
) -> None:
    """Optimised codes make long runs of zeros of it, and flat gray is what libjpeg makes up."""
    photo = np.full((2000, 300, 3), level, np.uint8)
    photo[:rows] = np.asarray(grainy())[:rows]
    data = saved(Pillow.fromarray(photo), quality=92, **options)
    for file in (data, data[:-2] + b"\xff" * 1000 + data[-2:], data[:-2] + b"\x55" * 1000 + data[-2:]):
        assert decode(file, max_megapixels=1).pixels.shape == (2000, 300, 3)


def test_zeros_after_the_whole_picture_cost_nothing() -> None:
    data = saved(grainy(), quality=92)
    assert decode(data[:-2] + bytes(5000) + data[-2:], max_megapixels=1).pixels.shape == (200, 300, 3)


def test_the_end_of_arithmetic_coding_is_not_judged() -> None:
    """Its zeros may be left out: what is added there may count. (Here it is all noise, but coded so.)"""
    blocks = np.kron(np.random.default_rng(0).integers(0, 256, (20, 30, 3)), np.ones((8, 8, 1)))
    data = saved(Pillow.fromarray(blocks.astype(np.uint8)), quality=92, progressive=True)
    coded_otherwise = data.replace(b"\xff\xc2", b"\xff\xca", 1)
    assert decode(coded_otherwise, max_megapixels=1).pixels.shape == (160, 240, 3)
