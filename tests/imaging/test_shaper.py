from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest

from bridge.imaging import icc
from bridge.imaging.profiles import built_in
from bridge.imaging.shaper import shaper
from tests.imaging.samples import pixels


def with_curve(curve: bytes) -> bytes:
    """sRGB's primaries with this curve for all channels."""
    profile = icc.parse(built_in("sRGB"))
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return icc.assembled(built_in("sRGB")[:128], profile.tags | curves)


def table(points: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bytes:
    values = np.rint(points * 65535).astype(">u2")
    return b"curv" + bytes(4) + len(values).to_bytes(4, "big") + values.tobytes()


def parametric(kind: int, *values: float) -> bytes:
    return struct.pack(f">4sIHH{len(values)}i", b"para", 0, kind, 0, *(round(v * 65536) for v in values))


CURVES = [
    icc.LINEAR,
    icc.gamma(2.2),
    table(np.linspace(0, 1, 100) ** 2.2),
    table(np.linspace(0, 1, 33) ** 1.8),
    parametric(0, 1.8),
    icc.SRGB_CURVE,
    parametric(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0.0, 0.0),
]


@pytest.mark.parametrize("curve", CURVES)
def test_every_kind_of_curve_agrees_with_littlecms_and_inverts(curve: bytes) -> None:
    profile = with_curve(curve)
    direct = shaper(icc.parse(profile))
    assert direct is not None
    encoded = pixels(30, 40, 3, "float32")
    linear = direct.linear(encoded)
    expected = imagecodecs.cms_transform(
        encoded,
        profile,
        icc.linear(profile),
        colorspace="rgb",
        outcolorspace="rgb",
        outdtype=np.float32,
        intent=1,
        flags=0x2000,
    )
    assert np.abs(linear - expected).max() < 3e-5
    assert np.abs(direct.encoded(linear) - encoded).max() < 2e-5


@pytest.mark.parametrize("curve", CURVES)
def test_curves_continue_beyond_black_and_white(curve: bytes) -> None:
    direct = shaper(icc.parse(with_curve(curve)))
    assert direct is not None
    beyond = np.array([[[-0.5, -0.5, -0.5], [1.5, 1.5, 1.5]]], np.float32)
    linear = direct.linear(beyond)
    assert (linear[0, 0] < 0).all()
    assert (linear[0, 1] > 1).all()
    assert np.abs(direct.encoded(linear) - beyond).max() < 1e-4


def test_a_table_may_begin_flat_as_gammas_in_16_bits_do() -> None:
    points = np.linspace(0, 1, 1024) ** 2.2
    direct = shaper(icc.parse(with_curve(table(points))))
    assert direct is not None
    encoded = np.linspace(0.05, 1, 300, dtype=np.float32)[None, :, None].repeat(3, axis=2)
    assert np.abs(direct.encoded(direct.linear(encoded)) - encoded).max() < 1e-5
    assert np.isfinite(direct.encoded(np.zeros((1, 1, 3), np.float32))).all()


@pytest.mark.parametrize(
    "curve",
    [
        b"",
        b"junk" * 5,
        table(np.array([0, 0.5, 1.0, 1.0])),
        table(np.array([0, 0.6, 0.5, 1.0])),
        table(np.array([1.0, 0.5, 0.0])),
        b"curv" + bytes(4) + (99).to_bytes(4, "big"),
        parametric(1, 2.2, 1.0, 0.0),
        parametric(3, 2.4, 1.0),
        parametric(0, -1.0),
    ],
)
def test_curves_that_cannot_be_inverted_are_left_to_littlecms(curve: bytes) -> None:
    assert shaper(icc.parse(with_curve(curve))) is None


def test_profiles_without_a_matrix_are_left_to_littlecms() -> None:
    profile = icc.parse(built_in("sRGB"))
    without = icc.assembled(built_in("sRGB")[:128], {t: c for t, c in profile.tags.items() if t != b"gXYZ"})
    assert shaper(icc.parse(without)) is None
    lab = built_in("sRGB")[:20] + b"Lab " + built_in("sRGB")[24:]
    assert shaper(icc.parse(lab)) is None
