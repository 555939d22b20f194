from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from bridge.errors import ImageError, ImageTruncated, PixelsUnsupported
from bridge.imaging.codecs import Format, decode, encode, inspect
from bridge.imaging.image import Image, Metadata
from bridge.imaging.profiles import built_in
from tests.imaging.samples import XMP, exif_block, pixels


def saved(picture: Pillow.Image, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, "WEBP", **options)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [False, True])
def test_pillows_webps_read_as_pillow_sees_them(mode: str, lossless: bool) -> None:
    data = saved(Pillow.fromarray(pixels(17, 13, len(mode), "uint8")), lossless=lossless)
    with Pillow.open(io.BytesIO(data)) as opened:
        assert np.array_equal(decode(data, max_megapixels=1).pixels, np.asarray(opened))
    assert inspect(data).channels == len(mode)


def test_pillow_finds_our_blocks() -> None:
    riding = Metadata(exif=exif_block(), xmp=XMP)
    data = encode(Image(pixels(5, 7, 4, "uint8"), built_in("Display P3"), riding), Format.WEBP).data
    with Pillow.open(io.BytesIO(data)) as opened:
        assert opened.size == (7, 5)
        assert opened.info["icc_profile"] == built_in("Display P3")
        assert opened.info["exif"].removeprefix(b"Exif\0\0") == exif_block()
        assert opened.info["xmp"] == XMP


def test_a_resolution_alone_becomes_exif() -> None:
    data = encode(Image(pixels(5, 7, 3, "uint8"), None, Metadata(dots_per_inch=(240, 240))), Format.WEBP).data
    with Pillow.open(io.BytesIO(data)) as opened:
        assert opened.getexif()[282] == 240


def test_quality_100_is_lossless_and_less_is_not() -> None:
    picture = pixels(20, 20, 3, "uint8")
    exact = encode(Image(picture), Format.WEBP, quality=100).data
    close = encode(Image(picture), Format.WEBP, quality=99).data
    assert b"VP8L" in exact
    assert b"VP8L" not in close
    assert np.array_equal(decode(exact, max_megapixels=1).pixels, picture)


def test_an_animation_is_refused() -> None:
    frames = [Pillow.fromarray(pixels(8, 8, 3, "uint8", seed)) for seed in range(3)]
    with pytest.raises(PixelsUnsupported, match="animation"):
        decode(saved(frames[0], save_all=True, append_images=frames[1:]), max_megapixels=1)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"RIFF\x04\0\0\0WEBP", ImageError),
        (b"RIFF\xff\xff\0\0WEBPVP8 ", ImageTruncated),
        (b"RIFF\x0c\0\0\0WEBPVP8 \0\0\0\0", ImageError),
        (b"RIFF\x10\0\0\0WEBPVP8L\xff\0\0\0junk", ImageTruncated),
        (b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\0\0\0\0junk!", ImageError),
    ],
)
def test_nonsense_is_a_named_error(data: bytes, error: type[ImageError]) -> None:
    with pytest.raises(error):
        decode(data, max_megapixels=1)
