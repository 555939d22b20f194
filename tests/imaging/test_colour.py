from __future__ import annotations

import re
import threading
from typing import Literal

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import ProfileError
from bridge.imaging import colour, icc
from bridge.imaging.profiles import built_in
from tests.imaging.samples import pixels

RGB = ["sRGB", "Adobe RGB (1998)", "Display P3", "ProPhoto RGB"]
GRAY = ["Gray Gamma 2.2", "Gray Gamma 1.8", "sGray"]


def table_profile() -> bytes:
    """An RGB profile of tables (lut16): 2 x 2 x 2 points from RGB to Lab and back."""
    lab = []
    for index in range(8):
        levels = np.array([index >> 2 & 1, index >> 1 & 1, index & 1], float)
        lab.append([levels.mean(), 0.5 + (levels[0] - levels[1]) * 0.1, 0.5 + (levels[0] - levels[2]) * 0.1])
    grid = (np.array(lab) * 65280).astype(">u2").tobytes()
    identity = np.rint(np.eye(3).ravel() * 65536).astype(">i4").tobytes()
    ramp = np.array([0, 65535] * 3, ">u2").tobytes()
    head = b"mft2" + bytes(4) + bytes((3, 3, 2, 0)) + identity + (2).to_bytes(2, "big") * 2
    profile = icc.parse(built_in("sRGB"))
    tags = {name: content for name, content in profile.tags.items() if not name.endswith((b"TRC", b"XYZ"))}
    tags |= {b"A2B0": head + ramp + grid + ramp, b"B2A0": head + ramp + grid + ramp}
    base = bytearray(built_in("sRGB")[:128])
    base[20:24] = b"Lab "
    return icc.assembled(bytes(base), tags)


@pytest.mark.parametrize("name", RGB + GRAY)
def test_sixteen_bits_survive_the_way_there_and_back(name: str) -> None:
    """A photo's colours to less than half a 16-bit step but for the rare deeply saturated pixel."""
    random = np.random.default_rng(3)
    levels = random.normal(0.5, 0.15, (60, 70, 1)) + random.normal(0, 0.03, (60, 70, 3))
    channels: Literal[1, 3] = 1 if name in GRAY else 3
    document = np.rint(np.clip(levels, 0.05, 0.95) * 65535).astype(np.uint16)[..., :channels]
    working = colour.to_working(document, built_in(name))
    assert working.dtype == np.float32
    assert working.shape == (60, 70, 3)
    back = colour.from_working(working, built_in(name), channels=channels)
    assert np.abs(back * 65535 - document).max() < 0.5


@pytest.mark.parametrize("name", RGB)
def test_the_whole_gamut_survives_within_what_float32_resolves(name: str) -> None:
    """Pure gammas are infinitely steep at 0: there, a step of float32 is some 16-bit steps."""
    levels = np.linspace(0, 65535, 17).astype(np.uint16)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(17, -1, 3)
    back = colour.from_working(colour.to_working(cube, built_in(name)), built_in(name), channels=3)
    away = np.abs(back * 65535 - cube)
    assert away.max() < 80
    assert away[cube > 655].max() < 2


@pytest.mark.parametrize("name", [*RGB[1:], *GRAY])
def test_the_direct_evaluation_agrees_with_littlecms(name: str) -> None:
    channels = 1 if name in GRAY else 3
    encoded = pixels(20, 30, channels, "float32")
    space = "gray" if channels == 1 else "rgb"
    target = icc.linear(built_in("sGray" if channels == 1 else "sRGB"))
    linear = imagecodecs.cms_transform(
        encoded[..., 0] if channels == 1 else encoded,
        built_in(name),
        target,
        colorspace=space,
        outcolorspace=space,
        outdtype=np.float32,
        intent=1,
        flags=0x2000,
    ).reshape(encoded.shape)
    size = np.abs(linear)
    expected = np.copysign(
        np.where(size <= 0.0031308, size * 12.92, 1.055 * size ** (1 / 2.4) - 0.055), linear
    )
    assert np.abs(colour.to_working(encoded, built_in(name)) - expected).max() < 5e-5


def test_a_profile_of_tables_goes_through_littlecms() -> None:
    profile = table_profile()
    assert colour.problem(profile, 3) is None
    ramp = np.linspace(0, 1, 50, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    working = colour.to_working(ramp, profile)
    assert np.abs(working[..., 0] - working[..., 2]).max() < 0.02
    assert (np.diff(working[0, :, 1]) > 0).all()
    with pytest.raises(ProfileError, match="tables"):
        colour.linearised(profile)


@given(st.sampled_from(["uint8", "uint16", "float32"]), st.sampled_from([1, 3]), st.integers(1, 9))
def test_without_a_profile_values_pass_exactly(dtype: str, channels: Literal[1, 3], width: int) -> None:
    document = pixels(5, width, channels, dtype)
    working = colour.to_working(document, None)
    white = 1 if dtype == "float32" else np.iinfo(dtype).max
    expected = document.astype(np.float32) / np.float32(white)
    assert np.array_equal(working, np.broadcast_to(expected, working.shape))
    back = colour.from_working(working, None, channels=channels)
    assert np.abs(back - expected).max() <= (1e-6 if channels == 1 else 0)


def test_srgb_profiles_are_recognised() -> None:
    document = pixels(5, 5, 3, "uint8")
    assert np.array_equal(colour.to_working(document, built_in("sRGB")), colour.to_working(document, None))


def test_gray_stays_neutral_and_colour_becomes_its_luminance() -> None:
    gray = colour.to_working(pixels(9, 9, 1, "uint16"), built_in("Gray Gamma 1.8"))
    assert np.array_equal(gray[..., 0], gray[..., 1])
    assert np.array_equal(gray[..., 0], gray[..., 2])
    green = np.zeros((1, 1, 3), np.float32)
    green[..., 1] = 1
    assert colour.from_working(green, built_in("Gray Gamma 2.2"), channels=1)[0, 0, 0] == pytest.approx(
        0.7152 ** (1 / (563 / 256)), abs=1e-4
    )


@pytest.mark.parametrize(
    ("profile", "channels", "reason"),
    [
        (b"", 3, "header"),
        (b"x" * 400, 3, "header"),
        (built_in("sRGB")[:200], 3, "cut short|damaged"),
        (built_in("Gray Gamma 2.2"), 3, "GRAY"),
        (built_in("sRGB"), 1, "RGB"),
        (built_in("sRGB")[:12] + b"link" + built_in("sRGB")[16:], 3, "device"),
        (built_in("sRGB")[:16] + b"CMYK" + built_in("sRGB")[20:], 3, "CMYK"),
        (built_in("sRGB")[:16] + b"Lab " + built_in("sRGB")[20:], 3, "Lab"),
    ],
)
def test_an_unusable_profile_counts_as_srgb_and_says_why(profile: bytes, channels: int, reason: str) -> None:
    found = colour.problem(profile, channels)
    assert found is not None
    assert re.search(reason, found)
    document = pixels(4, 4, channels, "uint16")
    assert np.array_equal(colour.to_working(document, profile), colour.to_working(document, None))


@pytest.mark.parametrize("name", RGB)
def test_linearised_pixels_mean_the_same_colours(name: str) -> None:
    encoded = pixels(8, 8, 3, "float32")
    profile = built_in(name)
    gammas = {"Adobe RGB (1998)": 563 / 256, "ProPhoto RGB": 461 / 256}
    if name in gammas:
        linear = encoded ** np.float32(gammas[name])
    else:
        linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    working = colour.to_working(linear.astype(np.float32), colour.linearised(profile))
    assert np.abs(working - colour.to_working(encoded, profile)).max() < 2e-4


def test_linearised_without_a_profile_is_srgb() -> None:
    assert colour.problem(colour.linearised(None), 3) is None
    assert colour.problem(colour.linearised(None, gray=True), 1) is None
    half = np.full((1, 1, 1), 0.5, np.float32)
    assert colour.to_working(half, colour.linearised(None, gray=True))[0, 0, 0] == pytest.approx(
        0.7354, abs=1e-3
    )


def test_threads_share_the_conversions() -> None:
    document, profile = pixels(64, 64, 3, "uint16"), table_profile()
    expected = colour.to_working(document, profile)
    same: list[bool] = []
    threads = [
        threading.Thread(
            target=lambda: same.append(np.array_equal(colour.to_working(document, profile), expected))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 6
