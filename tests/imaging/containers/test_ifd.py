from __future__ import annotations

import struct
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import MetadataMalformed
from bridge.imaging.containers import ifd

values = st.dictionaries(
    st.integers(1, 65_000),
    st.tuples(
        st.sampled_from([ifd.BYTE, ifd.SHORT, ifd.LONG]),
        st.lists(st.integers(0, 255), min_size=1, max_size=9),
    ),
)


@given(values, values, st.sampled_from(["<", ">"]))
def test_what_is_laid_out_is_read_back(
    outer: dict[int, tuple[int, list[int]]], inner: dict[int, tuple[int, list[int]]], order: Literal["<", ">"]
) -> None:
    tree: dict[int, ifd.Field | ifd.Tree] = {t: ifd.field(order, k, *v) for t, (k, v) in outer.items()}
    tree[65_500] = {t: ifd.field(order, k, *v) for t, (k, v) in inner.items()}
    structure = ifd.structure(ifd.header(order, 8) + ifd.laid_out(order, tree, 8))
    main = structure.directory(structure.first)
    below = structure.directory(structure.number(main.fields, 65_500))
    for directory, expected in ((main, outer), (below, inner)):
        assert directory.whole
        assert directory.following == 0
        assert {t: structure.numbers(f) for t, f in directory.fields.items() if t != 65_500} == {
            t: v for t, (_, v) in expected.items()
        }


def test_a_field_with_a_place_is_only_pointed_to() -> None:
    placed = ifd.Field(ifd.UNDEFINED, 6, b"abcdef", at=8)
    data = ifd.header("<", 14) + b"abcdef" + ifd.laid_out("<", {1: placed}, 14)
    assert data.count(b"abcdef") == 1
    assert bytes(ifd.structure(data).directory(14).fields[1].value) == b"abcdef"


def test_big_structures_are_read() -> None:
    entry = struct.pack("<HHQQ", 256, ifd.LONG8, 1, 77)
    data = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + struct.pack("<Q", 1) + entry + bytes(8)
    structure = ifd.structure(data)
    assert structure.big
    assert structure.number(structure.directory(structure.first).fields, 256) == 77


def test_an_entry_beyond_the_data_is_left_out() -> None:
    entries = struct.pack("<HHIIHHII", 1, 7, 9, 9999, 2, 3, 1, 5)
    structure = ifd.structure(b"II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4))
    directory = structure.directory(8)
    assert list(directory.fields) == [2]
    assert not directory.whole


def opened(data: bytes) -> ifd.Directory:
    structure = ifd.structure(data)
    return structure.directory(structure.first)


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"JUNKJUNK", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff"]
)
def test_what_is_no_structure_is_malformed(data: bytes) -> None:
    with pytest.raises(MetadataMalformed):
        opened(data)
