"""Photoshop image resources: the wrapping in which JPEG and PNG carry IPTC records.

Adobe Photoshop File Formats Specification, "Image Resource Blocks".
"""

from __future__ import annotations

from collections.abc import Iterator

IPTC = 0x0404
_SIGNATURE = b"8BIM"


def resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each resource; ends at the first thing that is none."""
    at = 0
    while data[at : at + 4] == _SIGNATURE and at + 12 <= len(data):
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        name = at + 6  # a Pascal string, padded to an even length
        size_at = name + (data[name] + 2) // 2 * 2
        start = size_at + 4
        size = int.from_bytes(data[size_at:start], "big")
        if start + size > len(data):
            return
        yield number, data[start : start + size]
        at = start + size + size % 2


def iptc(data: bytes) -> bytes | None:
    """The IPTC-IIM records among the resources."""
    return next((content for number, content in resources(data) if number == IPTC), None)


def wrapped(records: bytes) -> bytes:
    """IPTC-IIM records as a resource without a name."""
    head = _SIGNATURE + IPTC.to_bytes(2, "big") + b"\0\0" + len(records).to_bytes(4, "big")
    return head + records + bytes(len(records) % 2)
