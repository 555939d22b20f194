from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from bridge.errors import MetadataMalformed
from bridge.imaging.containers import exif, ifd
from tests.imaging.samples import exif_block, facts, with_thumbnail


def pillow(block: bytes) -> Pillow.Exif:
    known = Pillow.Exif()
    known.load(b"Exif\0\0" + block)
    return known


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_the_bytes_of_orientation_and_size_change(order: str) -> None:
    block = exif_block(6, size=(600, 400), order=order)
    turned = exif.upright(block, 400, 600)
    assert pillow(turned)[274] == 1
    assert pillow(turned).get_ifd(34665)[40962] == 400
    assert pillow(turned).get_ifd(34665)[40963] == 600
    assert len(turned) == len(block)
    assert sum(a != b for a, b in zip(turned, block, strict=True)) <= 5
    assert exif.upright(turned, 400, 600) == turned


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_size_that_the_first_directory_states_is_refreshed_too(order: ifd.Order) -> None:
    stated = {256: ifd.field(order, ifd.SHORT, 600), 257: ifd.field(order, ifd.LONG, 400)}
    stated[274] = ifd.field(order, ifd.SHORT, 6)
    block = ifd.header(order, 8) + ifd.laid_out(order, dict(stated), 8)
    turned = pillow(exif.upright(block, 400, 600))
    assert (turned[256], turned[257], turned[274]) == (400, 600, 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_thumbnail_goes_and_everything_else_stays(order: str) -> None:
    block = exif_block(order=order)
    assert exif.without_thumbnail(block) == block
    framed = with_thumbnail(block)
    assert b"\xff\xd8" in framed
    bare = exif.without_thumbnail(framed)
    assert exif.read(bare).main.following == 0
    assert facts(bare) == facts(block)
    assert b"\xff\xd8" not in bare
    assert len(bare) < len(framed)


def test_a_thumbnail_before_other_things_is_blanked_in_place() -> None:
    framed = with_thumbnail(exif_block())
    longer = framed + b"what a maker note points to"
    bare = exif.without_thumbnail(longer)
    assert len(bare) == len(longer)
    assert b"\xff\xd8" not in bare
    assert bare.endswith(b"points to")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_block_put_together_anew_says_the_same(order: str) -> None:
    block = exif_block(order=order)
    again = exif.assembled(exif.read(block))
    assert again is not None
    assert facts(again) == facts(block)
    assert again.index(b"MAKER" * 40) == block.index(b"MAKER" * 40)
    smaller = exif.assembled(exif.read(block), maker_note=False)
    assert smaller is not None
    assert 37500 not in facts(smaller)["photo"]


def test_fields_that_share_bytes_cannot_grow_a_block_without_bound() -> None:
    size = 1 << 20
    count = 40
    entries = b"".join(
        struct.pack("<HHII", 50_000 + i, 7, size, 8 + 2 + 12 * count + 4) for i in range(count)
    )
    block = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + bytes(4 + size)
    with pytest.raises(MetadataMalformed, match="larger"):
        exif.assembled(exif.read(block))


@given(st.floats(1, 5000), st.floats(1, 5000))
def test_a_resolution_alone(across: float, down: float) -> None:
    known = exif.read(exif.of_resolution((across, down)))
    found = exif.dots_per_inch(known.structure, known.main.fields)
    assert found == pytest.approx((across, down), abs=1e-3)


@pytest.mark.parametrize(("unit", "expected"), [(1, None), (2, 300.0), (3, 762.0)])
def test_the_unit_of_the_resolution_counts(unit: int, expected: float | None) -> None:
    tree = exif.resolution_fields("<", (300, 300)) | {296: ifd.field("<", ifd.SHORT, unit)}
    block = ifd.header("<", 8) + ifd.laid_out("<", dict(tree), 8)
    known = exif.read(block)
    found = exif.dots_per_inch(known.structure, known.main.fields)
    assert (found and found[0]) == expected


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_a_nonsensical_orientation_is_upright(value: int) -> None:
    block = ifd.header("<", 8) + ifd.laid_out("<", {274: ifd.field("<", ifd.SHORT, value)}, 8)
    assert exif.orientation(exif.read(block)) == 1


@given(st.binary(max_size=200))
def test_noise_is_malformed_or_harmless(noise: bytes) -> None:
    for block in (noise, b"II*\0\x08\0\0\0" + noise, b"MM\0*\0\0\0\x08" + noise):
        try:
            known = exif.read(block)
            exif.without_thumbnail(block)
            exif.upright(block, 3, 4)
            exif.dots_per_inch(known.structure, known.main.fields)
            again = exif.assembled(known)
        except MetadataMalformed:
            continue
        if again is not None:
            assert exif.read(again).whole
