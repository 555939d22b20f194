from __future__ import annotations

import struct
import zlib

import pytest

from bridge.imaging import metadata
from bridge.imaging.codecs import Format, decode, encode, inspect
from bridge.imaging.containers import exif, ifd, jpeg
from bridge.imaging.containers.blocks import Blocks
from bridge.imaging.image import Image, Metadata
from bridge.imaging.profiles import built_in
from tests.imaging.samples import IPTC, XMP, exif_block, facts, pixels, with_thumbnail, xmp_of


def picture_with(blocks: Blocks) -> bytes:
    """A JPEG with these blocks, whatever is in them."""
    plain = encode(Image(pixels(4, 6, 3, "uint8")), Format.JPEG).data
    return jpeg.embed(plain, blocks)[0]


@pytest.mark.parametrize("container", list(Format))
def test_what_is_embedded_is_read_without_decoding(container: Format) -> None:
    riding = Metadata(exif=exif_block(), xmp=XMP, iptc=None if container is Format.WEBP else IPTC)
    data = encode(Image(pixels(4, 4, 3, "uint8"), None, riding), container).data
    found, profile = metadata.read(data, container)
    assert profile is None
    assert (found.xmp, found.iptc, found.orientation, found.warnings) == (XMP, riding.iptc, 1, ())
    assert found.dots_per_inch == (300, 300)  # stated by the EXIF block


@pytest.mark.parametrize(
    ("blocks", "lost"),
    [
        (Blocks(exif=b"not a TIFF structure"), "EXIF"),
        (Blocks(exif=b"II*\0\xff\xff\xff\x7f"), "EXIF"),
        (Blocks(exif=b"II*\0\x08\0\0\0\xff\xff"), "EXIF"),
        (Blocks(xmp=b"<x:xmpmeta"), "XMP"),
        (Blocks(xmp=b'<!DOCTYPE a [<!ENTITY b "c">]>' + XMP), "XMP"),
    ],
)
def test_a_broken_block_costs_a_warning_and_not_the_picture(blocks: Blocks, lost: str) -> None:
    found = decode(picture_with(blocks), max_megapixels=1)
    assert found.pixels.shape == (4, 6, 3)
    assert found.metadata.exif is None
    assert found.metadata.xmp is None
    assert lost in found.metadata.warnings[0]


@pytest.mark.parametrize(
    ("pointer", "lost", "kept"),
    [
        (34853, "GPS", ("main", "photo")),
        (34665, "Exif", ("main", "gps")),
        (40965, "Interoperability", ("main", "photo", "gps")),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_broken_pointer_costs_the_directory_that_it_points_to(
    pointer: int, lost: str, kept: tuple[str, ...], order: ifd.Order
) -> None:
    block = exif_block(6, order=order, interoperability="R98")
    parts = exif.read(block)
    at = next(
        part.fields[pointer].at for part in (parts.main, parts.photo) if part and pointer in part.fields
    )
    assert at is not None
    broken = block[:at] + b"\x7f\xff\xff\x7f" + block[at + 4 :]
    data = picture_with(Blocks(exif=broken))
    assert inspect(data).orientation == 6
    found = decode(data, max_megapixels=1)
    assert (found.width, found.height) == (4, 6)
    assert found.metadata.warnings == (f"The {lost} directory of the EXIF data is damaged and was left out.",)
    assert found.metadata.dots_per_inch == (300, 300)
    known, before = facts(found.metadata.exif), facts(block)
    assert {part: known[part] for part in kept} == {part: before[part] for part in kept}
    assert exif.read(found.metadata.exif or b"").whole  # so nothing in it points nowhere
    for container in Format:
        again = decode(encode(found, container).data, max_megapixels=1)
        assert (again.width, again.height, again.metadata.warnings) == (4, 6, ())


@pytest.mark.parametrize("container", list(Format))
def test_a_cameras_adobe_rgb_gets_its_profile(container: Format) -> None:
    riding = Metadata(exif=exif_block(interoperability="R03", colour_space=0xFFFF))
    data = encode(Image(pixels(4, 6, 3, "uint8"), None, riding), container).data
    found = decode(data, max_megapixels=1)
    assert found.icc == built_in("Adobe RGB (1998)")
    assert found.metadata.warnings == ()
    for other in Format:
        assert decode(encode(found, other).data, max_megapixels=1).icc == found.icc


@pytest.mark.parametrize(
    ("index", "colour_space", "icc", "expected"),
    [
        ("R03", 1, None, None),
        ("R98", 0xFFFF, None, None),
        (None, 0xFFFF, None, None),
        ("R03", 2, None, built_in("Adobe RGB (1998)")),
        ("R03", None, None, built_in("Adobe RGB (1998)")),
        ("R03", 0xFFFF, built_in("Display P3"), built_in("Display P3")),
    ],
)
def test_only_a_profile_or_both_of_dcfs_words_say_that_it_is_not_srgb(
    index: str | None, colour_space: int | None, icc: bytes | None, expected: bytes | None
) -> None:
    block = exif_block(interoperability=index, colour_space=colour_space)
    assert decode(picture_with(Blocks(exif=block, icc=icc)), max_megapixels=1).icc == expected


def test_a_gray_adobe_rgb_photo_gets_a_gray_profile() -> None:
    riding = Metadata(exif=exif_block(interoperability="R03", colour_space=0xFFFF))
    data = encode(Image(pixels(4, 6, 1, "uint8"), None, riding), Format.JPEG).data
    found = decode(data, max_megapixels=1)
    assert found.icc == built_in("Gray Gamma 2.2")
    assert found.metadata.warnings == ()


def test_a_png_that_says_srgb_is_srgb_whatever_its_exif_says() -> None:
    riding = Metadata(exif=exif_block(interoperability="R03", colour_space=0xFFFF))
    data = encode(Image(pixels(4, 6, 3, "uint8"), None, riding), Format.PNG).data
    srgb = struct.pack(">I", 1) + b"sRGB\0" + struct.pack(">I", zlib.crc32(b"sRGB\0"))
    assert decode(data[:33] + srgb + data[33:], max_megapixels=1).icc == built_in("sRGB")


def test_a_qualified_orientation_is_turned_too() -> None:
    packet = (
        '<tiff:Orientation rdf:parseType="Resource"><rdf:value>{}</rdf:value><tiff:Make/></tiff:Orientation>'
    )
    spaces = 'xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    turned = metadata.upright(Metadata(xmp=xmp_of(spaces, rest=packet.format(6)), orientation=6), 4, 6)
    assert turned.xmp == xmp_of(spaces, rest=packet.format(1))


def test_the_thumbnail_of_a_file_is_dropped() -> None:
    found = decode(picture_with(Blocks(exif=with_thumbnail(exif_block()))), max_megapixels=1)
    assert found.metadata.exif is not None
    assert found.metadata.exif.startswith(exif_block())
    assert b"\xff\xd8" not in found.metadata.exif


def test_a_thumbnail_that_lies_across_a_directory_costs_the_block_only() -> None:
    block = bytearray(with_thumbnail(exif_block(6)))
    link = 10 + 12 * int.from_bytes(block[8:10], "little")
    preview = int.from_bytes(block[link : link + 4], "little")
    gps = block.index((34853).to_bytes(2, "little")) + 8
    at = len(block) - 200
    block[gps : gps + 4] = (at + 4).to_bytes(4, "little")
    block[at : at + 6] = b"\xff\xd8\0\0\1\0"
    for entry, value in ((1, at), (2, 100)):
        place = preview + 2 + 12 * entry + 8
        block[place : place + 4] = value.to_bytes(4, "little")
    found = decode(picture_with(Blocks(exif=bytes(block))), max_megapixels=1)
    assert found.pixels.size == 4 * 6 * 3


def test_a_broken_resolution_is_none() -> None:
    found = decode(picture_with(Blocks(dots_per_inch=(0.4, 1e9))), max_megapixels=1)
    assert found.metadata.dots_per_inch == (1, 65535)  # as far as JFIF goes
    png = encode(Image(pixels(2, 2, 3, "uint8"), None, Metadata(dots_per_inch=(1e7, 1e7))), Format.PNG).data
    assert decode(png, max_megapixels=1).metadata.dots_per_inch is None
