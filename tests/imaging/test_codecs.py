from __future__ import annotations

import io
import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageOps

from bridge.errors import (
    BridgeError,
    EncodingFailed,
    FormatUnsupported,
    ImageError,
    ImageTooLarge,
    ImageTruncated,
)
from bridge.imaging.codecs import Format, decode, encode, inspect, sniff
from bridge.imaging.image import Image, Metadata
from bridge.imaging.profiles import built_in
from tests.imaging.samples import IPTC, XMP, exif_block, facts, pixels

sizes = st.tuples(st.integers(1, 40), st.integers(1, 40))
LOSSLESS = {  # format -> depths and channels that it holds
    Format.TIFF: (("uint8", "uint16", "float32"), (1, 2, 3, 4)),
    Format.PNG: (("uint8", "uint16"), (1, 2, 3, 4)),
    Format.WEBP: (("uint8",), (3, 4)),
}


@st.composite
def lossless_pictures(draw: st.DrawFn) -> tuple[Format, Image]:
    container = draw(st.sampled_from(list(LOSSLESS)))
    dtypes, channels = LOSSLESS[container]
    count = draw(st.sampled_from(channels))
    picture = pixels(*draw(sizes), count, draw(st.sampled_from(dtypes)), draw(st.integers(0, 99)))
    if draw(st.booleans()):
        picture[:] = picture[0, 0]
    return container, Image(picture, built_in("Display P3" if count > 2 else "Gray Gamma 2.2"))


@given(lossless_pictures())
def test_lossless_formats_keep_every_bit_and_the_profile(case: tuple[Format, Image]) -> None:
    container, image = case
    encoded = encode(image, container, quality=100)
    found = decode(encoded.data, max_megapixels=1)
    assert encoded.warnings == ()
    assert encoded.media_type == f"image/{container}"
    assert found.pixels.dtype == image.pixels.dtype
    assert np.array_equal(found.pixels, image.pixels)
    assert found.icc == image.icc
    header = inspect(encoded.data)
    assert (header.format, header.height, header.width, header.channels) == (container, *image.pixels.shape)
    assert header.depth == image.pixels.dtype.itemsize * 8


@given(sizes, st.sampled_from([1, 3]), st.integers(1, 100))
def test_a_jpeg_is_close_and_has_the_size(size: tuple[int, int], channels: int, quality: int) -> None:
    image = Image(np.full((*size, channels), 120, np.uint8))
    found = decode(encode(image, Format.JPEG, quality=quality).data, max_megapixels=1)
    assert found.pixels.shape == image.pixels.shape
    assert np.abs(found.pixels.astype(int) - 120).max() <= 8


def test_colour_is_not_subsampled_at_high_quality() -> None:
    stripes = np.zeros((16, 16, 3), np.uint8)
    stripes[:, ::2, 0] = 255
    fine = decode(encode(Image(stripes), Format.JPEG, quality=90).data, max_megapixels=1).pixels
    coarse = decode(encode(Image(stripes), Format.JPEG, quality=80).data, max_megapixels=1).pixels
    assert np.abs(fine.astype(int) - stripes).max() < 40 < np.abs(coarse.astype(int) - stripes).max()


def test_depths_convert_by_rounding_and_exactly() -> None:
    sixteen = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    eight = decode(encode(Image(sixteen), Format.PNG, depth=8).data, max_megapixels=1).pixels
    assert np.array_equal(eight, np.rint(sixteen / 257).astype(np.uint8))
    back = decode(encode(Image(eight), Format.TIFF, depth=16).data, max_megapixels=1).pixels
    assert np.array_equal(back, eight.astype(np.uint16) * 257)


def test_floats_are_clipped_with_a_warning_where_they_become_whole() -> None:
    image = Image(np.array([[[-0.5], [0.25], [1.5]]], np.float32))
    encoded = encode(image, Format.PNG)
    assert decode(encoded.data, max_megapixels=1).pixels.ravel().tolist() == [0, 16384, 65535]
    assert "clipped" in encoded.warnings[0]
    kept = encode(image, Format.TIFF)
    assert decode(kept.data, max_megapixels=1).pixels.ravel().tolist() == [-0.5, 0.25, 1.5]
    assert kept.warnings == ()


@pytest.mark.parametrize("container", list(Format))
@pytest.mark.parametrize(("dtype", "bits"), [("uint8", 8), ("uint16", 16), ("float32", 32)])
def test_a_depth_that_the_format_does_not_hold_is_a_warning(container: Format, dtype: str, bits: int) -> None:
    most = {Format.JPEG: 8, Format.WEBP: 8, Format.PNG: 16, Format.TIFF: 32}[container]
    picture = Image(pixels(4, 4, 3, dtype))
    told = encode(picture, container).warnings
    if bits <= most:
        assert told == ()
    else:
        assert f"at most {most} bits" in told[0]
        assert f"picture's {bits}" in told[0]
    assert encode(picture, container, depth=8).warnings == ()  # it was asked for


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_transparency_becomes_white_in_a_jpeg(dtype: str) -> None:
    white = 1 if dtype == "float32" else np.iinfo(dtype).max
    picture = np.zeros((8, 8, 4), dtype)
    encoded = encode(Image(picture), Format.JPEG, depth=8)
    assert decode(encoded.data, max_megapixels=1).pixels.min() >= 254
    assert "transparency" in encoded.warnings[0]
    picture[..., 3] = white
    opaque = encode(Image(picture), Format.JPEG, depth=8)
    assert decode(opaque.data, max_megapixels=1).pixels.max() <= 1
    assert opaque.warnings == ()


def test_a_gray_picture_becomes_srgb_in_a_webp() -> None:
    gray = Image(np.full((4, 4, 1), 128, np.uint8), built_in("Gray Gamma 1.8"))
    encoded = encode(gray, Format.WEBP, quality=100)
    found = decode(encoded.data, max_megapixels=1)
    expected = 255 * (1.055 * ((128 / 255) ** (461 / 256)) ** (1 / 2.4) - 0.055)
    assert found.icc is None
    assert np.abs(found.pixels - expected).max() <= 1
    assert "sRGB" in encoded.warnings[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1, 9), (9, 1), (1, 1)])
def test_a_strip_of_one_pixel_can_be_written_however_it_was_turned(
    orientation: int, size: tuple[int, int]
) -> None:
    riding = Metadata(exif=exif_block(orientation, size=size))
    data = encode(Image(np.full((*size[::-1], 3), 90, np.uint8), metadata=riding), Format.PNG).data
    found = decode(data, max_megapixels=1)
    for container in Format:
        again = decode(encode(found, container).data, max_megapixels=1)
        assert again.pixels.shape == found.pixels.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("container", list(Format))
def test_the_orientation_is_applied_once(orientation: int, container: Format) -> None:
    """Against Pillow's own idea of upright."""
    picture = np.kron(pixels(3, 4, 3, "uint8", 5), np.ones((8, 8, 1), np.uint8))
    height, width = picture.shape[:2]
    xmp = XMP.replace(b'Orientation="1"', b'Orientation="%d"' % orientation)
    riding = Metadata(exif=exif_block(orientation, size=(width, height)), xmp=xmp)
    data = encode(Image(picture, None, riding), container, quality=100).data
    if container is Format.TIFF:  # ours are always upright: turn the tag by hand
        entry = b"\x12\x01\x03\x00\x01\x00\x00\x00"
        at = data.rindex(entry) + len(entry)
        data = data[:at] + bytes((orientation,)) + data[at + 1 :]
    assert inspect(data).orientation == orientation
    with Pillow.open(io.BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened))
    found = decode(data, max_megapixels=1)
    assert np.abs(found.pixels.astype(int) - expected).max() <= (2 if container is Format.JPEG else 0)
    assert found.metadata.orientation == 1
    again = decode(encode(found, container, quality=100).data, max_megapixels=1)
    assert again.pixels.shape == found.pixels.shape
    known = Pillow.Exif()
    known.load(b"Exif\0\0" + (found.metadata.exif or b""))
    assert known.get(274, 1) == 1
    assert known.get_ifd(34665)[40962] == found.width
    assert known.get_ifd(34665)[40963] == found.height
    assert b'tiff:Orientation="1"' in (found.metadata.xmp or b"")


@pytest.mark.parametrize("target", list(Format))
@pytest.mark.parametrize("source", list(Format))
def test_metadata_survives_every_pair_of_formats(source: Format, target: Format, portrait: Image) -> None:
    first = encode(portrait, source)
    second = encode(decode(first.data, max_megapixels=1), target)
    found = decode(second.data, max_megapixels=1)
    assert found.icc == portrait.icc
    assert found.metadata.xmp == XMP
    assert facts(found.metadata.exif) == facts(portrait.metadata.exif)
    assert found.metadata.dots_per_inch == (300, 300)
    assert found.metadata.warnings == ()
    through_webp = Format.WEBP in (source, target)
    assert found.metadata.iptc == (None if through_webp else IPTC)
    assert any("IPTC" in warning for warning in first.warnings + second.warnings) == through_webp
    if Format.TIFF not in (source, target):
        assert found.metadata.exif == portrait.metadata.exif


def test_an_empty_file_is_no_question_of_its_format() -> None:
    with pytest.raises(FormatUnsupported) as raised:
        decode(b"", max_megapixels=1)
    assert "again" in raised.value.hint


@pytest.mark.parametrize(
    ("start", "likeness"),
    [
        (b"", "empty"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\n <!DOCTYPE html><html></html>", "HTML"),
        (b"Dear Ana,\r\nthe photos are ready", "text"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0", "AVIF"),
        (b"\0\0\0\x18ftypcrx \0\0", "raw file"),
        (b"FUJIFILMCCD-RAW 0201", "raw file"),
        (b"8BPS\0\1", "PSD"),
        (b"GIF89a", "GIF"),
        (b"GPEN\1\0\0\0", "frame"),
        (b"\x01\x02\x03\x04" * 40, "no image"),
        (b"RIFF\0\0\0\0WAVE", "no image"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(start: bytes, likeness: str) -> None:
    with pytest.raises(FormatUnsupported, match=likeness):
        sniff(start)


@pytest.mark.parametrize("container", list(Format))
def test_a_truncated_file_is_a_named_error(container: Format, portrait: Image) -> None:
    data = encode(portrait, container).data
    for end in [*range(8, len(data) - 1, 37), len(data) - 2]:
        try:
            found = decode(data[:end], max_megapixels=1)
        except ImageError:
            continue
        assert container is Format.TIFF  # whose pixels come first, and the rest at the end
        assert np.array_equal(found.pixels, portrait.pixels)
        assert "left out" in found.metadata.warnings[0]
    with pytest.raises(ImageTruncated):
        decode(data[: len(data) * 2 // 3], max_megapixels=1)


@settings(max_examples=150)
@given(
    st.sampled_from(list(Format)),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_file_never_fails_without_a_name(
    container: Format, damage: list[tuple[float, int]]
) -> None:
    image = Image(
        pixels(9, 7, 3, "uint8"), built_in("Display P3"), Metadata(exif=exif_block(), xmp=XMP, iptc=IPTC)
    )
    data = bytearray(encode(image, container).data)
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    try:
        found = decode(data, max_megapixels=0.01)
    except BridgeError:
        return
    encode(found, container)


@pytest.mark.parametrize("container", list(Format))
def test_the_budget_is_asked_before_anything_is_allocated(container: Format) -> None:
    data = bytearray(encode(Image(pixels(64, 64, 3, "uint8")), container).data)
    with pytest.raises(ImageTooLarge, match="64 x 64"):
        decode(data, max_megapixels=0.004)


def test_a_gigapixel_bomb_costs_nothing() -> None:
    data = bytearray(encode(Image(pixels(4, 4, 1, "uint8")), Format.PNG).data)
    data[16:24] = (40_000).to_bytes(4, "big") + (30_000).to_bytes(4, "big")
    tracemalloc.start()
    with pytest.raises(ImageTooLarge, match="1200 megapixels"):
        decode(bytes(data), max_megapixels=250)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


@pytest.mark.parametrize(("container", "width"), [(Format.JPEG, 65_501), (Format.WEBP, 16_384)])
def test_a_side_that_is_too_long_for_the_format_is_refused(container: Format, width: int) -> None:
    with pytest.raises(EncodingFailed, match="at most"):
        encode(Image(np.zeros((1, width, 3), np.uint8)), container)


def test_encoding_twice_gives_the_same_bytes(portrait: Image) -> None:
    for container in Format:
        assert encode(portrait, container).data == encode(portrait, container).data


def test_a_profile_that_does_not_fit_is_kept_with_a_warning() -> None:
    gray_profile = built_in("Gray Gamma 2.2")
    for icc in (gray_profile, b"garbage" * 40):
        data = encode(Image(pixels(5, 5, 3, "uint8"), icc), Format.TIFF).data
        found = decode(data, max_megapixels=1)
        assert found.icc == icc
        assert "treated as sRGB" in found.metadata.warnings[0]


def test_memory_stays_near_the_array_itself() -> None:
    """Python's share of a 6-megapixel 16-bit RGB picture: one array, the file, little else."""
    picture = np.zeros((2000, 3000, 3), np.uint16)
    picture[...] = np.arange(3000, dtype=np.uint16)[None, :, None] * 20
    for container in (Format.TIFF, Format.PNG):
        tracemalloc.start()
        data = encode(Image(picture), container).data
        _, encoding = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        decoded = decode(data, max_megapixels=10)
        _, decoding = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert encoding < 2.2 * picture.nbytes
        assert decoding < 2 * picture.nbytes
        assert np.array_equal(decoded.pixels, picture)


def test_many_threads_may_decode_at_once(portrait: Image) -> None:
    data = encode(portrait, Format.TIFF).data
    results: list[bool] = []

    def work() -> None:
        results.append(np.array_equal(decode(data, max_megapixels=1).pixels, portrait.pixels))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 8


def test_an_image_without_metadata_stays_without(portrait: Image) -> None:
    bare = replace(portrait, icc=None, metadata=Metadata())
    for container in Format:
        found = decode(encode(bare, container).data, max_megapixels=1)
        assert found.metadata == Metadata()
        assert found.icc is None


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
@pytest.mark.parametrize("channels", [2, 4])
def test_a_side_of_one_pixel_with_alpha_becomes_a_jpeg(size: tuple[int, int], channels: int) -> None:
    encoded = encode(Image(pixels(*size, channels, "uint8")), Format.JPEG)
    assert decode(encoded.data, max_megapixels=1).pixels.shape == (*size, channels - 1)
