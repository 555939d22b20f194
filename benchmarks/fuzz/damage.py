"""What a hostile or broken file is made of: a sound one, and a few deliberate faults in it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from hypothesis import strategies as st

NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    12,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x10000,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFE,
    0xFFFFFFFF,
)
"""What lengths, counts and offsets overflow at."""

LONGEST = 4096
"""Bytes that one fault takes away, repeats or brings."""


class Fault(NamedTuple):
    """One thing wrong; each number is taken modulo what there is."""

    kind: int
    place: int
    length: int
    number: int
    letters: bytes


faults = st.lists(
    st.builds(
        Fault,
        st.integers(0, 8),
        st.integers(0, 2**20),
        st.integers(1, LONGEST),
        st.sampled_from(NUMBERS),
        st.binary(min_size=1, max_size=16),
    ),
    min_size=1,
    max_size=6,
)
"""What the test suite draws, and makes as small as it gets when it finds something."""


def drawn(random: Random) -> list[Fault]:
    """The same, from a plain generator: twenty times as many a second."""
    return [
        Fault(
            random.randrange(9),
            random.randrange(2**20),
            random.choice((random.randrange(1, 9), random.randrange(1, LONGEST))),
            random.choice(NUMBERS),
            random.randbytes(random.randrange(1, 17)),
        )
        for _ in range(random.randrange(1, 7))
    ]


def damaged(sound: bytes, wrong: Sequence[Fault], other: bytes) -> bytes:
    """A sound file with these faults; one kind of them takes a piece of another file."""
    data = bytearray(sound)
    for kind, place, length, number, letters in wrong:
        at = place % (len(data) + 1)
        length = min(length, len(data) - at)
        if kind == 0:
            data[at : at + 1] = letters[:1]
        elif kind in (1, 2):
            data[at : at + 4] = number.to_bytes(4, "little" if kind == 1 else "big")
        elif kind == 3:
            data[at : at + 2] = (number & 0xFFFF).to_bytes(2, "big")
        elif kind == 4:
            del data[at : at + length]
        elif kind == 5:
            data[at:at] = data[at : at + length] * (1 + number % 4)
        elif kind == 6:
            del data[at:]
        elif kind == 7:
            data[at : at + len(letters)] = letters
        else:
            start = place % (len(other) + 1)
            data[at : at + length] = other[start : start + length]
    return bytes(data)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have right checksums again, so that libpng looks further than those."""
    mended, at = bytearray(data), 8
    while at + 12 <= len(mended):
        length = int.from_bytes(mended[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(mended):
            break
        mended[end : end + 4] = zlib.crc32(mended[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(mended)
