"""The TIFF structure: directories of tagged fields, read within bounds and written. Knows no tag's meaning.

TIFF 6.0, section 2; BigTIFF (Adobe/AWare, 2007) on reading. An EXIF block is the same structure.
Every read is checked against the data's end and nothing is copied, so that a hostile file costs
no more than its own size; loops between directories are the caller's to bound.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from bridge.errors import MetadataMalformed

Order: TypeAlias = Literal["<", ">"]
"""Byte order as `struct` and NumPy write it: "<" for files that begin II, ">" for MM."""

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, FLOAT, IFD, LONG8, IFD8 = 1, 2, 3, 4, 5, 7, 11, 13, 16, 18
_LAYOUT = {  # type code -> NumPy code of one number, numbers a value
    1: ("u1", 1), 2: ("u1", 1), 3: ("u2", 1), 4: ("u4", 1), 5: ("u4", 2), 6: ("i1", 1), 7: ("u1", 1),
    8: ("i2", 1), 9: ("i4", 1), 10: ("i4", 2), 11: ("f4", 1), 12: ("f8", 1), 13: ("u4", 1),
    16: ("u8", 1), 17: ("i8", 1), 18: ("u8", 1),
}  # fmt: skip
MAX_FIELDS = 2_000  # in one directory; cameras write about 60


@dataclass(frozen=True)
class Field:
    """One tagged value.

    Attributes:
        kind: the TIFF type code.
        count: how many values of that type.
        value: the raw bytes, in the structure's byte order.
        at: where the value lies, counted from the structure's start. A field that is given to
            `laid_out` with a place is taken to lie there already: only its entry is written.
    """

    kind: int
    count: int
    value: bytes | memoryview
    at: int | None = None


Tree: TypeAlias = "Mapping[int, Field | Tree]"
"""What `laid_out` writes: fields by tag, a nested tree being a sub-directory."""


@dataclass(frozen=True)
class Directory:
    """One image file directory.

    Attributes:
        fields: by tag; entries of unknown type or that reach past the data's end are left out.
        following: offset of the next directory, 0 at the end of the chain.
        whole: whether no entry had to be left out.
    """

    fields: dict[int, Field]
    following: int
    whole: bool


@dataclass(frozen=True)
class Structure:
    """A TIFF header over the bytes that it describes."""

    data: memoryview
    order: Order
    big: bool
    first: int

    def directory(self, offset: int) -> Directory:
        """The directory at `offset`.

        Raises:
            MetadataMalformed: it lies, or reaches, outside the data, or has too many entries.
        """
        count_size, entry_size, inline = (8, 20, 8) if self.big else (2, 12, 4)
        count = self._number(offset, count_size)
        entries = offset + count_size
        end = entries + count * entry_size
        if count > MAX_FIELDS or len(self.data) < end:
            raise MetadataMalformed(f"A directory of {count} fields at byte {offset} makes no sense.")
        fields: dict[int, Field] = {}
        for at in range(entries, end, entry_size):
            tag, kind = self._number(at, 2), self._number(at + 2, 2)
            values = self._number(at + 4, inline)
            code, each = _LAYOUT.get(kind, ("", 0))
            size = values * each * int(code[1:] or 0)
            start = at + 4 + inline if size <= inline else self._number(at + 4 + inline, inline)
            if code and tag not in fields and start + size <= len(self.data):
                fields[tag] = Field(kind, values, self.data[start : start + size], start)
        # Some writers forget the last four bytes: a directory at the very end has no successor.
        following = self._number(end, inline) if len(self.data) >= end + inline else 0
        return Directory(fields, following, whole=len(fields) == count)

    def numbers(self, field: Field, most: int = -1) -> list[int] | list[float]:
        """The field's values, or the first so many; a rational as two numbers."""
        code, each = _LAYOUT[field.kind]
        count = field.count * each if most < 0 else min(most, field.count * each)
        values: list[int] | list[float] = np.frombuffer(field.value, self.order + code, count).tolist()
        return values

    def number(self, fields: Mapping[int, Field], tag: int, default: int = 0) -> int:
        """The first value of a whole-numbered field."""
        field = fields.get(tag)
        if field is None or not field.count or field.kind in (FLOAT, 12):
            return default
        return int(self.numbers(field, 1)[0])

    def _number(self, at: int, size: int) -> int:
        if at < 0 or at + size > len(self.data):
            raise MetadataMalformed("A directory lies outside the data.")
        return int.from_bytes(self.data[at : at + size], "little" if self.order == "<" else "big")


def structure(data: bytes | memoryview) -> Structure:
    """Read the header of a TIFF or BigTIFF file, or of an EXIF block.

    Raises:
        MetadataMalformed: it has none.
    """
    view = memoryview(data)
    magic = bytes(view[:4])
    order: Order = "<" if magic[:2] == b"II" else ">"
    if magic in (b"II*\0", b"MM\0*") and len(view) >= 8:
        return Structure(view, order, False, struct.unpack(order + "I", view[4:8])[0])
    if magic in (b"II+\0", b"MM\0+") and len(view) >= 16:
        return Structure(view, order, True, struct.unpack(order + "Q", view[8:16])[0])
    raise MetadataMalformed("There is no TIFF header.")


def header(order: Order, first: int) -> bytes:
    """The eight bytes that a classic structure begins with."""
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, first)


def field(order: Order, kind: int, *values: int) -> Field:
    """A whole-numbered field, packed; for RATIONAL give numerator and denominator in turn."""
    code, each = _LAYOUT[kind]
    return Field(kind, len(values) // each, np.array(values, order + code).tobytes())


def laid_out(order: Order, tree: Tree, base: int) -> bytes:
    """A directory without successor, its values and its sub-directories, made to lie at `base`.

    `base` must be even (TIFF 6.0, section 2: values begin on word boundaries).
    """
    beyond = base + 2 + 12 * len(tree) + 4
    entries, tail = bytearray(struct.pack(order + "H", len(tree))), bytearray()
    for tag, content in sorted(tree.items()):
        here = beyond + len(tail)
        if not isinstance(content, Field):
            tail += laid_out(order, content, here)
            entries += struct.pack(order + "HHII", tag, LONG, 1, here)
            continue
        entries += struct.pack(order + "HHI", tag, content.kind, content.count)
        if len(content.value) <= 4:
            entries += bytes(content.value).ljust(4, b"\0")
        elif content.at is not None:
            entries += struct.pack(order + "I", content.at)
        else:
            entries += struct.pack(order + "I", here)
            tail += content.value
        tail += bytes(len(tail) % 2)
    return bytes(entries + bytes(4) + tail)
