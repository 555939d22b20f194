from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import MetadataMalformed
from bridge.imaging import appended
from bridge.imaging.codecs import Format, decode, encode
from bridge.imaging.containers import jpeg, xmp
from bridge.imaging.containers.blocks import Blocks
from bridge.imaging.image import Image, Metadata
from tests.imaging.samples import XMP, pixels, xmp_of

GAIN_MAP, VIDEO, DEPTH = (
    f"The photo's {name} is not carried over." for name in ("HDR gain map", "motion video", "depth map")
)
SPACES = (
    'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" xmlns:GCamera="http://ns.google.com/photos/1.0/camera/"'
    ' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    ' xmlns:Item="http://ns.google.com/photos/1.0/container/item/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)
APPLE = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:HDRGainMap="http://ns.apple.com/HDRGainMap/1.0/" '
    b'HDRGainMap:HDRGainMapVersion="65536"/></rdf:RDF></x:xmpmeta>'
)


def directory(*semantics: str) -> str:
    """Google's list of what is in the file."""
    items = "".join(
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Semantic="{name}" Item:Length="9"/></rdf:li>'
        for name in semantics
    )
    return f"<Container:Directory><rdf:Seq>{items}</rdf:Seq></Container:Directory>"


def plain() -> bytes:
    return encode(Image(pixels(4, 6, 3, "uint8")), Format.JPEG).data


def with_segment(data: bytes, payload: bytes) -> bytes:
    return data[:2] + b"\xff\xe2" + struct.pack(">H", len(payload) + 2) + payload + data[2:]


def with_further_picture(first: bytes, further: bytes, order: str = ">") -> bytes:
    """A multi-picture file, after CIPA DC-007."""

    def laid(offset: int) -> bytes:
        head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
        entry = struct.pack(order + "HHHII", 1, 0xB002, 7, 32, 26)
        pictures = struct.pack(order + "IIIHH", 0x30000, 0, 0, 0, 0)
        pictures += struct.pack(order + "IIIHH", 0, len(further), offset, 0, 0)
        return with_segment(first, b"MPF\0" + head + entry + bytes(4) + pictures)

    start = 2 + 4 + 4  # SOI, marker and length, the label: offsets count from behind them
    return laid(len(laid(0)) - start) + further


@pytest.mark.parametrize(
    ("attributes", "elements", "warnings"),
    [
        ('hdrgm:Version="1.0"', directory("Primary", "GainMap"), (GAIN_MAP,)),
        ("", "<hdrgm:Version>1.0</hdrgm:Version>", (GAIN_MAP,)),
        ("", directory("Primary", "GainMap", "MotionPhoto"), (GAIN_MAP, VIDEO)),
        ('GCamera:MicroVideo="1" GCamera:MicroVideoOffset="4000"', "", (VIDEO,)),
        ("", "<GCamera:MotionPhoto>1</GCamera:MotionPhoto>", (VIDEO,)),
        ('GCamera:MotionPhoto="0" GCamera:MotionPhotoVersion="1"', "", ()),
        ("", directory("Primary", "Depth"), (DEPTH,)),
    ],
)
def test_what_lies_behind_the_picture_is_told_and_no_longer_spoken_of(
    attributes: str, elements: str, warnings: tuple[str, ...]
) -> None:
    kept = f'{SPACES} dc:format="image/jpeg"', "<dc:title> <!-- a &amp; b --> </dc:title>"
    packet = xmp_of(f"{kept[0]} {attributes}", rest=elements + kept[1])
    found = decode(jpeg.embed(plain(), Blocks(xmp=packet))[0], max_megapixels=1)
    assert found.metadata.warnings == warnings
    expected = xmp_of(kept[0] + (" " if not attributes else ""), rest=kept[1])
    assert found.metadata.xmp == expected


def test_thumbnails_of_the_photo_as_it_was_go_unmentioned_as_those_of_exif_do() -> None:
    image = '<rdf:li rdf:parseType="Resource"><g:image>/9j/4AAQ</g:image></rdf:li>'
    spaces = (
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:g="http://ns.adobe.com/xap/1.0/g/img/" xmp:Rating="4"'
    )
    packet = xmp_of(spaces, rest=f"<xmp:Thumbnails><rdf:Alt>{image}</rdf:Alt></xmp:Thumbnails>")
    for container in Format:
        data = encode(Image(pixels(4, 6, 3, "uint8"), None, Metadata(xmp=packet)), container).data
        found = decode(data, max_megapixels=1).metadata
        assert (found.xmp, found.warnings) == (xmp_of(spaces), ())


PHONE = xmp_of(
    f'{SPACES} hdrgm:Version="1.0" GCamera:MotionPhoto="1" dc:format="image/jpeg"',
    rest=directory("Primary", "GainMap"),
)


@given(st.integers(0, len(PHONE)), st.integers(0, 60), st.binary(max_size=4))
def test_of_any_packet_a_packet_is_left(at: int, gone: int, noise: bytes) -> None:
    try:
        packet = xmp.parse(PHONE[:at] + noise + PHONE[at + gone :])
    except MetadataMalformed:
        return
    left, _ = appended.without(packet)
    assert appended.without(xmp.parse(left)) == (left, set())


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_gain_map_that_only_the_further_picture_speaks_of_is_told(order: str) -> None:
    gain_map = encode(Image(pixels(2, 3, 1, "uint8"), None, Metadata(xmp=APPLE)), Format.JPEG).data
    found = decode(with_further_picture(plain(), gain_map, order), max_megapixels=1)
    assert found.metadata.warnings == (GAIN_MAP,)


def test_a_gain_map_after_iso_21496_is_told() -> None:
    data = with_segment(plain(), b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4))
    assert decode(data, max_megapixels=1).metadata.warnings == (GAIN_MAP,)


def test_a_preview_is_no_loss() -> None:
    preview = encode(Image(pixels(2, 3, 3, "uint8"), None, Metadata(xmp=XMP)), Format.JPEG).data
    assert decode(with_further_picture(plain(), preview), max_megapixels=1).metadata.warnings == ()


@pytest.mark.parametrize("cut", [4, 12, 20, 30])
def test_a_damaged_directory_of_pictures_is_no_loss(cut: int) -> None:
    data = with_segment(plain(), (b"MPF\0MM\0*\0\0\0\x08\0\x01\xb0\x02\0\x07" + bytes(14))[:cut])
    assert decode(data, max_megapixels=1).metadata.warnings == ()
