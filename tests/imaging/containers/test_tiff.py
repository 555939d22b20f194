"""Against tifffile, as writer of all kinds of TIFF and as reader of ours."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image as Pillow

from bridge.errors import BridgeError, FormatUnsupported, ImageError, ImageTruncated, PixelsUnsupported
from bridge.imaging.codecs import Format, decode, encode, inspect
from bridge.imaging.containers.exif import assembled, read
from bridge.imaging.image import Image, Metadata
from tests.imaging.samples import IPTC, XMP, exif_block, facts, pixels


def written(array: NDArray[Any], **options: Any) -> bytes:
    """A TIFF by tifffile."""
    out = io.BytesIO()
    tifffile.imwrite(out, array, **options)
    return out.getvalue()


def patched(data: bytes, tag: int, value: int) -> bytes:
    """The same classic little-endian TIFF with another first value of a SHORT or LONG tag."""
    first = struct.unpack_from("<I", data, 4)[0]
    for index in range(struct.unpack_from("<H", data, first)[0]):
        at = first + 2 + 12 * index
        if struct.unpack_from("<H", data, at)[0] == tag:
            return data[: at + 8] + struct.pack("<H", value) + data[at + 10 :]
    raise AssertionError(f"no tag {tag}")


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.sampled_from([1, 3]),
    st.sampled_from([None, "lzw", "zlib", "packbits", "zstd"]),
    st.booleans(),
    st.sampled_from("<>"),
    st.booleans(),
    st.sampled_from(["strips", "tiles", "planes"]),
)
def test_every_way_of_writing_reads_the_same(
    size: tuple[int, int],
    dtype: str,
    channels: int,
    compression: str | None,
    predicted: bool,
    order: str,
    big: bool,
    shape: str,
) -> None:
    picture = pixels(*size, channels, dtype)
    options: dict[str, Any] = {"compression": compression, "byteorder": order, "bigtiff": big}
    if predicted and compression in ("lzw", "zlib", "zstd"):
        options["predictor"] = 3 if dtype == "float32" else 2
    stored = picture[..., 0] if channels == 1 else picture
    if shape == "tiles":
        options["tile"] = (16, 16)
    elif shape == "planes" and channels == 3:
        stored, options["planarconfig"] = np.moveaxis(picture, 2, 0).copy(), "separate"
    else:
        options["rowsperstrip"] = 7
    data = written(stored, photometric="rgb" if channels == 3 else "minisblack", **options)
    found = decode(data, max_megapixels=1)
    assert found.pixels.dtype == picture.dtype
    assert np.array_equal(found.pixels, picture)
    assert found.metadata.warnings == ()


@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.integers(1, 4),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.sampled_from([None, b"II", b"MM"]),
)
def test_others_read_what_we_write(
    size: tuple[int, int], channels: int, dtype: str, order: bytes | None
) -> None:
    picture = pixels(*size, channels, dtype)
    block = exif_block(order=">" if order == b"MM" else "<")
    metadata = Metadata(exif=block, xmp=XMP, iptc=IPTC) if order else Metadata()
    data = encode(Image(picture, None, metadata), Format.TIFF).data
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        page = opened.pages.first
        assert np.array_equal(page.asarray().reshape(picture.shape), picture)
        assert data[:2] == (order or b"II")
        if order:
            assert page.tags[700].value == XMP
            assert page.tags[33723].value == IPTC
            assert page.tags[34665].value["LensModel"] == "RF85mm F1.2"
            assert page.tags[34665].value["MakerNote"] == b"MAKER" * 40
            assert page.tags[34853].value["GPSLatitudeRef"] == "N"
            assert page.tags["Model"].value == "EOS R5"


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_few_bits_spread_over_eight(bits: int, white_is_zero: bool) -> None:
    levels = np.random.default_rng(0).integers(0, 2**bits, (6, 11), np.uint8)
    packed = b"".join(
        int("".join(f"{v:0{bits}b}" for v in row).ljust(-(-11 * bits // 8) * 8, "0"), 2).to_bytes(
            -(-11 * bits // 8), "big"
        )
        for row in levels
    )
    tags = [(256, 3, 11), (257, 3, 6), (258, 3, bits), (259, 3, 1), (262, 3, 0 if white_is_zero else 1)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 3, 6), (279, 4, len(packed))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in tags)
    data = b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory + bytes(4)
    expected = levels * (255 // (2**bits - 1))
    found = decode(data, max_megapixels=1).pixels[..., 0]
    assert np.array_equal(found, 255 - expected if white_is_zero else expected)


def test_a_palette_becomes_rgb() -> None:
    with io.BytesIO() as out:
        picture = Pillow.fromarray(pixels(9, 9, 3, "uint8")).quantize(16)
        picture.save(out, "TIFF")
        expected = np.asarray(picture.convert("RGB"))
        assert np.array_equal(decode(out.getvalue(), max_megapixels=1).pixels, expected)
        assert inspect(out.getvalue()).channels == 3


def test_jpeg_compressed_strips() -> None:
    smooth = np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2)
    with io.BytesIO() as out:
        Pillow.fromarray(smooth).save(out, "TIFF", compression="jpeg")
        found = decode(out.getvalue(), max_megapixels=1).pixels
    assert np.abs(found.astype(int) - smooth).max() <= 4


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_premultiplied_colour_is_divided_by_alpha(dtype: str) -> None:
    white = 1 if dtype == "float32" else np.iinfo(dtype).max
    colour = np.array([[[0.5, 0.25, 1.0], [0.5, 0.25, 1.0], [0.0, 0.0, 0.0]]])
    alpha = np.array([[[1.0], [0.5], [0.0]]])
    stored = np.concatenate([colour * alpha, alpha], axis=2) * white
    stored = stored if dtype == "float32" else np.rint(stored)
    data = written(stored.astype(dtype), photometric="rgb", extrasamples=["assocalpha"])
    found = decode(data, max_megapixels=1).pixels.astype(float) / white
    expected = np.concatenate([colour, alpha], axis=2)
    assert np.abs(found - expected).max() <= 1.5 / white


def with_predictor(array: NDArray[Any], value: int, **options: Any) -> bytes:
    """A TIFF of samples that are not predicted, with a predictor tag all the same."""
    data = written(array, extratags=[(316, 3, 1, value, True)], metadata=None, software=None, **options)
    stand_in = struct.pack("<HHI", 316, 3, 1)  # a tag of no meaning, since tifffile keeps this one to itself
    assert data.count(stand_in) == 1
    return data.replace(stand_in, struct.pack("<HHI", 317, 3, 1))


@pytest.mark.parametrize("compression", [None, "packbits"])
@pytest.mark.parametrize("value", [2, 3, 9])
def test_a_predictor_without_a_compression_that_has_one_is_ignored(
    compression: str | None, value: int
) -> None:
    picture = pixels(9, 11, 3, "uint8")
    data = with_predictor(picture, value, photometric="rgb", compression=compression)
    with Pillow.open(io.BytesIO(data)) as opened:  # libtiff
        assert np.array_equal(np.asarray(opened), picture)
    assert np.array_equal(decode(data, max_megapixels=1).pixels, picture)


def test_jpeg_strips_have_no_predictor() -> None:
    picture = np.linspace(0, 255, 64, dtype=np.uint8)[None, :, None].repeat(48, 0).repeat(3, 2)
    plain = written(picture, photometric="rgb", compression="jpeg")
    stray = with_predictor(picture, 2, photometric="rgb", compression="jpeg")
    assert np.array_equal(decode(stray, max_megapixels=1).pixels, decode(plain, max_megapixels=1).pixels)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("order", "<>")
def test_the_horizontal_predictor_of_floats_is_undone_on_their_words(dtype: str, order: str) -> None:
    picture = pixels(7, 9, 3, "float32").astype(dtype)
    words = picture.view(f"u{picture.itemsize}")
    differences = words.copy()
    differences[:, 1:] -= words[:, :-1]
    stored = differences.view(picture.dtype)
    data = written(
        stored, photometric="rgb", compression="zlib", byteorder=order, extratags=[(316, 3, 1, 2, True)]
    )
    data = data.replace(struct.pack(order + "HHI", 316, 3, 1), struct.pack(order + "HHI", 317, 3, 1))
    found = decode(data, max_megapixels=1)
    assert np.array_equal(found.pixels, picture.astype(np.float32))
    assert found.metadata.warnings == ()


def test_libtiffs_predicted_floats_look_as_libtiff_sees_them() -> None:
    picture = pixels(20, 30, 1, "float32")[..., 0]
    with io.BytesIO() as out:
        Pillow.fromarray(picture).save(out, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2})
        found = decode(out.getvalue(), max_megapixels=1)
    assert np.array_equal(found.pixels[..., 0], picture)


def test_predictors_that_do_not_go_with_the_samples_are_refused() -> None:
    picture, bitmap = pixels(9, 11, 3, "uint8"), pixels(9, 16, 1, "uint8")[..., 0] > 127
    for data in (
        with_predictor(picture, 3, photometric="rgb", compression="zlib"),
        with_predictor(picture, 9, photometric="rgb", compression="zlib"),
        with_predictor(bitmap, 2, photometric="minisblack", compression="zlib"),
    ):
        with pytest.raises(PixelsUnsupported, match="predictor"):
            decode(data, max_megapixels=1)


@pytest.mark.parametrize("alpha", ["unassalpha", "unspecified"])
def test_a_saved_selection_is_not_taken_for_transparency(alpha: str) -> None:
    picture = pixels(5, 6, 4, "uint16")
    found = decode(written(picture, photometric="rgb", extrasamples=[alpha]), max_megapixels=1)
    if alpha == "unassalpha":
        assert np.array_equal(found.pixels, picture)
    else:
        assert np.array_equal(found.pixels, picture[..., :3])
        assert "extra channel" in found.metadata.warnings[0]


def test_alpha_after_another_channel_is_found() -> None:
    picture = pixels(5, 6, 5, "uint8")
    data = written(picture, photometric="rgb", extrasamples=["unspecified", "unassalpha"])
    found = decode(data, max_megapixels=1)
    assert np.array_equal(found.pixels, picture[..., [0, 1, 2, 4]])


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_become_float32(dtype: str) -> None:
    picture = pixels(5, 6, 3, "float32").astype(dtype)
    found = decode(written(picture, photometric="rgb"), max_megapixels=1)
    assert np.array_equal(found.pixels, picture.astype(np.float32))


def test_what_is_not_a_number_becomes_black_or_white() -> None:
    picture = np.array([[[np.nan, np.inf, -np.inf], [0.5, 1.5, -0.5]]], np.float32)
    found = decode(written(picture, photometric="rgb"), max_megapixels=1)
    assert found.pixels.ravel().tolist() == [0, 1, 0, 0.5, 1.5, -0.5]
    assert "not numbers" in found.metadata.warnings[0]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (written(pixels(4, 4, 4, "uint8"), photometric="separated"), "CMYK"),
        (written(pixels(4, 4, 3, "uint8"), photometric="cielab"), "Lab"),
        (
            written(pixels(4, 4, 1, "uint8")[..., 0].astype(np.uint32), photometric="minisblack"),
            "32-bit whole",
        ),
        (written(pixels(4, 4, 1, "uint8")[..., 0].astype(np.int16), photometric="minisblack"), "signed"),
        (written(pixels(4, 4, 3, "uint8").astype(np.complex64)[..., 0]), "complex"),
        (written(np.stack([pixels(4, 4, 3, "uint8")] * 2), photometric="rgb"), "several pages"),
        (patched(written(pixels(4, 4, 3, "uint8"), photometric="rgb"), 259, 34712), "34712"),
    ],
)
def test_unusual_pixels_are_refused_with_advice(data: bytes, reason: str) -> None:
    with pytest.raises(PixelsUnsupported, match=reason) as refused:
        decode(data, max_megapixels=1)
    assert refused.value.hint


def test_a_preview_behind_the_picture_is_no_second_page() -> None:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(pixels(8, 8, 3, "uint8"), photometric="rgb")
        writer.write(pixels(2, 2, 3, "uint8"), photometric="rgb", subfiletype=1)
    assert decode(out.getvalue(), max_megapixels=1).pixels.shape == (8, 8, 3)


def test_camera_raw_files_are_recognised() -> None:
    """A DNG by its version tag; others begin with a preview and keep the picture below it."""
    dng = written(pixels(4, 4, 3, "uint8"), photometric="rgb", extratags=[(50706, 1, 4, b"\1\4\0\0", True)])
    nef = io.BytesIO()
    with tifffile.TiffWriter(nef) as writer:
        writer.write(pixels(4, 4, 3, "uint8"), photometric="rgb", subfiletype=1, subifds=1)
        writer.write(pixels(8, 8, 3, "uint8"), photometric="rgb")
    for data in (dng, nef.getvalue()):
        with pytest.raises(FormatUnsupported, match="raw"):
            decode(data, max_megapixels=1)


def test_layers_are_named_when_they_are_lost() -> None:
    data = written(pixels(4, 4, 3, "uint8"), photometric="rgb", extratags=[(37724, 7, 4, b"8BIM", True)])
    assert "layers" in decode(data, max_megapixels=1).metadata.warnings[0]


@pytest.mark.parametrize(
    ("tag", "value"), [(256, 0), (257, 0), (277, 0), (277, 2), (258, 24), (278, 1), (322, 0)]
)
def test_contradictory_tags_are_named_errors(tag: int, value: int) -> None:
    options: dict[str, Any] = {"tile": (16, 16)} if tag == 322 else {"rowsperstrip": 20}
    data = patched(written(pixels(20, 20, 3, "uint8"), photometric="rgb", **options), tag, value)
    with pytest.raises(ImageError):
        decode(data, max_megapixels=1)


FLOAT, SLONG, LONG = 11, 9, 4


def with_field(tag: int, kind: int, value: float) -> bytes:
    """A gray TIFF of 8 x 8 with a spare channel, or a palette, in which one field is of another type."""
    palette = tag == 320
    fields = {256: 8, 257: 8, 258: 8, 259: 1, 262: 3 if palette else 1, 273: 200, 277: 1 if palette else 2}
    fields |= {278: 8, 279: 64 if palette else 128, 320: 0, 338: 0, 339: 1}
    entries = b""
    for number, usual in fields.items():
        code = {FLOAT: "f", SLONG: "i", LONG: "I"}[kind] if number == tag else "I"
        entries += struct.pack(
            f"<HHI{code}", number, kind if number == tag else LONG, 1, value if number == tag else usual
        )
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + entries + bytes(4)
    return head.ljust(200, b"\0") + bytes(4096)


@pytest.mark.parametrize("tag", [258, 273, 279, 320, 338, 339])
@pytest.mark.parametrize(
    ("kind", "value"), [(FLOAT, float("nan")), (FLOAT, float("inf")), (FLOAT, 8.5), (SLONG, -100)]
)
def test_numbers_that_make_no_sense_are_a_named_error(tag: int, kind: int, value: float) -> None:
    with pytest.raises(ImageError, match="make no sense"):
        decode(with_field(tag, kind, value), max_megapixels=1)


def test_whole_numbers_of_an_unusual_type_are_read() -> None:
    assert decode(with_field(258, FLOAT, 8.0), max_megapixels=1).pixels.shape == (8, 8, 1)


def test_a_colour_map_of_more_than_sixteen_bits_is_a_named_error() -> None:
    with pytest.raises(ImageError, match="make no sense"):
        decode(with_field(320, LONG, 70_000), max_megapixels=1)


def test_a_tile_of_absurd_size_is_refused_before_it_is_allocated() -> None:
    data = written(pixels(20, 20, 3, "uint8"), photometric="rgb", tile=(16, 16), compression="zlib")
    data = patched(patched(data, 322, 65520), 323, 65520)
    with pytest.raises(ImageError, match="tiles"):
        decode(data, max_megapixels=1)


def test_a_strip_that_holds_too_little_is_a_truncation() -> None:
    data = written(pixels(20, 20, 3, "uint8"), photometric="rgb", compression="lzw", rowsperstrip=20)
    with pytest.raises(ImageTruncated, match="fewer pixels"):
        decode(patched(patched(data, 257, 40), 278, 40), max_megapixels=1)


def test_a_loop_of_directories_ends() -> None:
    data = bytearray(written(pixels(4, 4, 3, "uint8"), photometric="rgb"))
    first = struct.unpack_from("<I", data, 4)[0]
    link = first + 2 + 12 * struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, link, first)
    assert decode(bytes(data), max_megapixels=1).pixels.shape == (4, 4, 3)


def test_maker_notes_keep_their_place_in_the_file() -> None:
    """Some hold offsets that count from the start of the block: file and block must agree."""
    block = exif_block()
    at = block.index(b"MAKER" * 40)
    data = encode(Image(pixels(9, 9, 3, "uint8"), None, Metadata(exif=block)), Format.TIFF).data
    assert data.index(b"MAKER" * 40) == at
    again = decode(data, max_megapixels=1).metadata.exif
    assert again is not None
    assert again.index(b"MAKER" * 40) == at
    assert facts(again) == facts(block)


def test_damaged_exif_fields_stay_out_of_a_tiff() -> None:
    """An offset past the end of the block would point into the pixels."""
    block = bytearray(exif_block())
    at = block.index(struct.pack("<H" if block[:2] == b"II" else ">H", 42036)) + 8
    block[at : at + 4] = b"\x7f\xff\xff\xff"
    encoded = encode(Image(pixels(9, 9, 3, "uint8"), None, Metadata(exif=bytes(block))), Format.TIFF)
    assert "Damaged fields" in encoded.warnings[0]
    found = decode(encoded.data, max_megapixels=1)
    known = facts(found.metadata.exif)
    assert 42036 not in known["photo"]
    assert known["gps"] == facts(exif_block())["gps"]
    assert found.metadata.warnings == ()


def test_a_block_of_nothing_but_orientation_is_none() -> None:
    data = encode(Image(pixels(3, 3, 3, "uint8"), None, Metadata(dots_per_inch=(72, 72))), Format.TIFF).data
    assert decode(data, max_megapixels=1).metadata.exif is None
    assert assembled(read(data)) is None


@given(st.binary(max_size=300))
def test_bytes_behind_a_header_are_never_a_surprise(noise: bytes) -> None:
    for head in (b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0"):
        try:
            decode(head + noise, max_megapixels=1)
        except BridgeError:
            continue
