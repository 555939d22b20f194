"""Multi-picture files: what a JPEG's further pictures are. Decodes none of them.

CIPA DC-007: a directory of places and sizes. Most further pictures are previews, which show the
photo as it was and are no loss; an HDR gain map is one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from bridge.errors import MetadataMalformed
from bridge.imaging.containers import ifd

_ENTRIES = 0xB002
_ENTRY = 16  # bytes: attributes, size, offset, two numbers of pictures that depend on it
_MOST = 16  # pictures; cameras write two or three
_HEAD = 1 << 20  # bytes of each that are given: what says what it is stands at its beginning


def further_beginnings(directory: memoryview, file: memoryview, at: int) -> Iterator[memoryview]:
    """How each picture behind the first begins; none if the directory is damaged.

    Args:
        directory: what follows "MPF\\0" in the segment.
        file: the whole file.
        at: where in it the directory begins, from which its offsets count.
    """
    try:
        structure = ifd.structure(directory)
        entries = structure.directory(structure.first).fields.get(_ENTRIES)
    except MetadataMalformed:
        return
    raw = bytes(entries.value[: _MOST * _ENTRY]) if entries else b""
    for entry in range(0, len(raw) - _ENTRY + 1, _ENTRY):
        _, size, offset = struct.unpack_from(structure.order + "III", raw, entry)
        if offset:  # that of the first picture is 0
            yield file[at + offset : at + offset + min(size, _HEAD)]
