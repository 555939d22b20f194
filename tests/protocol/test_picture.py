from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import (
    EncodingFailed,
    ImageTooLarge,
    MalformedFrame,
    PixelsUnsupported,
    ProfileUnknown,
)
from bridge.imaging.colour import linearised
from bridge.imaging.image import Image
from bridge.imaging.profiles import named_profile
from bridge.protocol.frame import decode_frame, encode_frame
from bridge.protocol.picture import (
    ImageFile,
    check_picture,
    file_payload,
    icc_payload,
    picture_of,
    pixels_payload,
)

DTYPES = [np.uint8, np.uint16, np.float32]


def sample(dtype: Any, channels: int, side: int = 5) -> Any:
    full = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    return (np.random.default_rng(3).random((side, side + 2, channels)) * full).astype(dtype)


def through(*payloads: Any, megapixels: float = 1) -> Image | ImageFile:
    frame = decode_frame(encode_frame("request", {}, payloads))
    check_picture(frame.header, megapixels)
    return picture_of(frame)


@given(st.sampled_from(DTYPES), st.sampled_from([1, 3, 4]), st.integers(1, 40), st.text("ab", max_size=7))
def test_pixels_survive_at_any_alignment(dtype: Any, channels: int, side: int, padding: str) -> None:
    pixels = sample(dtype, channels, side)
    frame = decode_frame(encode_frame("request", {"x": padding}, [pixels_payload("image", pixels)]))
    image = picture_of(frame)
    assert isinstance(image, Image)
    assert image.pixels.dtype == dtype
    assert image.pixels.flags.aligned
    assert image.pixels.flags.c_contiguous
    np.testing.assert_array_equal(image.pixels, pixels)


def test_strided_pixels_are_written_as_they_look() -> None:
    pixels = sample(np.uint16, 4)[::-1, ::2]
    image = through(pixels_payload("image", pixels))
    assert isinstance(image, Image)
    np.testing.assert_array_equal(image.pixels, pixels)


def test_a_profile_comes_by_name_or_as_bytes_or_not_at_all() -> None:
    payload, view = pixels_payload("image", sample(np.uint8, 3))
    adobe = named_profile("Adobe RGB (1998)")
    by_name = through((payload.model_copy(update={"profile": "Adobe RGB (1998)"}), view))
    as_bytes = through((payload, view), icc_payload(adobe))
    neither = through((payload, view))
    assert isinstance(by_name, Image)
    assert isinstance(as_bytes, Image)
    assert isinstance(neither, Image)
    assert by_name.icc == as_bytes.icc == adobe
    assert neither.icc is None
    with pytest.raises(ProfileUnknown):
        through((payload.model_copy(update={"profile": "My Printer"}), view))


def test_gray_srgb_is_a_gray_profile() -> None:
    payload, view = pixels_payload("image", sample(np.uint8, 1))
    image = through((payload.model_copy(update={"profile": "sRGB"}), view))
    assert isinstance(image, Image)
    assert image.icc == named_profile("sGray")
    assert image.metadata.warnings == ()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_floats_are_linear(channels: int) -> None:
    payload = pixels_payload("image", sample(np.float32, channels))
    image = through(payload)
    assert isinstance(image, Image)
    assert image.icc == linearised(None, gray=channels == 1)
    if channels == 3:
        adobe = named_profile("Adobe RGB (1998)")
        image = through(payload, icc_payload(adobe))
        assert isinstance(image, Image)
        assert image.icc == linearised(adobe)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers_are_refused(bad: float) -> None:
    pixels = sample(np.float32, 3)
    pixels[2, 3, 1] = bad
    with pytest.raises(PixelsUnsupported):
        through(pixels_payload("image", pixels))


def test_a_profile_for_other_channels_is_a_warning() -> None:
    gray = pixels_payload("image", sample(np.uint8, 1))
    image = through(gray, icc_payload(named_profile("sRGB")))
    assert isinstance(image, Image)
    assert len(image.metadata.warnings) == 1


def test_a_file_stays_bytes() -> None:
    assert through(file_payload("image", b"any bytes", "image/png")) == ImageFile(b"any bytes", "image/png")


def test_the_pixel_budget_is_kept_by_the_header() -> None:
    payload = pixels_payload("image", sample(np.uint8, 3, 100))
    through(payload, megapixels=0.0102)
    with pytest.raises(ImageTooLarge):
        through(payload, megapixels=0.0101)


def test_contradictions_are_named() -> None:
    payload, view = pixels_payload("image", sample(np.uint8, 3))
    file = file_payload("image", b"x", "image/png")
    named = payload.model_copy(update={"profile": "sRGB"})
    mask = pixels_payload("mask", sample(np.uint8, 1))
    for payloads in (
        (),
        (mask,),
        (icc_payload(b"x"),),
        ((payload, view), mask),
        ((named, view), icc_payload(b"x")),
        (file, icc_payload(b"x")),
    ):
        with pytest.raises(MalformedFrame):
            through(*payloads)
    with pytest.raises(MalformedFrame):
        check_picture(decode_frame(encode_frame("result", {}, [(payload, view)])).header, 1)


def test_gray_with_alpha_has_no_raw_form() -> None:
    with pytest.raises(EncodingFailed):
        pixels_payload("image", sample(np.uint8, 2))
