from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from bridge.imaging.codecs import Format, decode, encode
from bridge.imaging.containers import photoshop
from bridge.imaging.image import Image
from tests.imaging.samples import IPTC, pixels

PATH_WARNING = "The picture's saved paths are not carried over."


def resource(number: int, content: bytes, *, name: bytes = b"", signature: bytes = b"8BIM") -> bytes:
    named = bytes((len(name),)) + name
    named += bytes(len(named) % 2)
    return signature + number.to_bytes(2, "big") + named + len(content).to_bytes(4, "big") + content


def jpeg_with(resources: bytes) -> bytes:
    plain = encode(Image(pixels(4, 4, 3, "uint8")), Format.JPEG).data
    payload = b"Photoshop 3.0\0" + resources
    return plain[:2] + b"\xff\xed" + (len(payload) + 2).to_bytes(2, "big") + payload + plain[2:]


def tiff_with(resources: bytes) -> bytes:
    out = io.BytesIO()
    extra = [(34377, "B", len(resources), resources, True)]
    tifffile.imwrite(out, np.zeros((4, 4, 3), np.uint8), photometric="rgb", metadata=None, extratags=extra)
    return out.getvalue()


@pytest.mark.parametrize("number", [1000, 0x0404, 2000])
@pytest.mark.parametrize("signature", [b"MeSa", b"AgHg", b"PHUT", b"DCSR"])
def test_iptc_is_found_behind_resources_of_other_programs(signature: bytes, number: int) -> None:
    other = resource(number, b"ab", name=b"odd", signature=signature)
    found = decode(jpeg_with(other + photoshop.wrapped(IPTC)), max_megapixels=1)
    assert found.metadata.iptc == IPTC
    assert found.metadata.warnings == ()


def test_iptc_behind_what_is_no_resource_is_not_looked_for() -> None:
    assert photoshop.iptc(resource(1000, b"ab", signature=b"junk") + photoshop.wrapped(IPTC)) is None


@pytest.mark.parametrize("made", [jpeg_with, tiff_with])
@pytest.mark.parametrize(
    ("number", "warnings"), [(1999, ()), (2000, (PATH_WARNING,)), (2997, (PATH_WARNING,))]
)
def test_lost_paths_are_told(made: object, number: int, warnings: tuple[str, ...]) -> None:
    assert callable(made)
    data = made(resource(number, bytes(26), name=b"Mask") + photoshop.wrapped(IPTC))
    found = decode(data, max_megapixels=1)
    assert found.metadata.warnings == warnings
    assert found.metadata.iptc == IPTC


@given(st.binary(max_size=60))
def test_noise_ends_quietly(noise: bytes) -> None:
    for data in (noise, b"8BIM" + noise, b"MeSa" + noise):
        photoshop.iptc(data)
        photoshop.losses(data)
