from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageCms

from bridge.errors import ProfileError
from bridge.imaging import icc
from bridge.imaging.profiles import built_in

COLORANTS = {  # as the vendors' profiles state them, to their four digits
    "sRGB": [[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]],
    "Adobe RGB (1998)": [[0.6097, 0.3111, 0.0195], [0.2053, 0.6257, 0.0609], [0.1492, 0.0632, 0.7446]],
    "Display P3": [[0.5151, 0.2412, -0.0011], [0.2920, 0.6922, 0.0419], [0.1571, 0.0666, 0.7841]],
    "ProPhoto RGB": [[0.7977, 0.2880, 0.0000], [0.1352, 0.7119, 0.0000], [0.0313, 0.0001, 0.8249]],
}


@pytest.mark.parametrize("name", list(COLORANTS))
def test_built_profiles_have_the_published_colorants(name: str) -> None:
    tags = icc.parse(built_in(name)).tags
    for tag, expected in zip((b"rXYZ", b"gXYZ", b"bXYZ"), COLORANTS[name], strict=True):
        assert np.frombuffer(tags[tag][8:20], ">i4") / 65536 == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize("name", [*COLORANTS, "Gray Gamma 2.2"])
def test_littlecms_opens_built_profiles_and_shows_their_names(name: str) -> None:
    opened = ImageCms.ImageCmsProfile(io.BytesIO(built_in(name)))
    assert opened.profile.profile_description == icc.description(built_in(name))
    assert opened.profile.version == pytest.approx(4.4)


def test_version_2_descriptions_are_read() -> None:
    named = b"desc" + bytes(4) + (12).to_bytes(4, "big") + b"Camera RGB\0\0" + bytes(80)
    profile = icc.parse(built_in("sRGB"))
    assert (
        icc.description(icc.assembled(built_in("sRGB")[:128], profile.tags | {b"desc": named}))
        == "Camera RGB"
    )


def test_linear_changes_the_curves_only() -> None:
    before, after = icc.parse(built_in("Display P3")), icc.parse(icc.linear(built_in("Display P3")))
    changed = {tag for tag in before.tags if before.tags[tag] != after.tags[tag]}
    assert changed == {b"rTRC", b"gTRC", b"bTRC"}
    assert icc.linear(icc.linear(built_in("sGray"))) == icc.linear(built_in("sGray"))


@given(st.binary(max_size=300))
def test_noise_is_a_profile_error(noise: bytes) -> None:
    head = built_in("sRGB")[:128]
    for content in (noise, head + noise, head + (3).to_bytes(4, "big") + noise):
        try:
            icc.parse(content)
        except ProfileError:
            continue
