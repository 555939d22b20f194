"""Photoshop image resources: the wrapping in which JPEG and PNG carry IPTC records.

Adobe Photoshop File Formats Specification, "Image Resource Blocks".
"""

from __future__ import annotations

from collections.abc import Iterator

IPTC = 0x0404
_SIGNATURE = b"8BIM"
_SIGNATURES = {_SIGNATURE, b"MeSa", b"AgHg", b"PHUT", b"DCSR"}  # the others give numbers their own meaning
_PATHS = range(2000, 2998)  # one for each path with a name


def resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each of Photoshop's; ends at the first thing that is no resource at all."""
    at = 0
    while (signature := data[at : at + 4]) in _SIGNATURES and at + 12 <= len(data):
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        name = at + 6  # a Pascal string, padded to an even length
        size_at = name + (data[name] + 2) // 2 * 2
        start = size_at + 4
        size = int.from_bytes(data[size_at:start], "big")
        if start + size > len(data):
            return
        if signature == _SIGNATURE:
            yield number, data[start : start + size]
        at = start + size + size % 2


def iptc(data: bytes) -> bytes | None:
    """The IPTC-IIM records among the resources."""
    return next((content for number, content in resources(data) if number == IPTC), None)


def losses(data: bytes) -> tuple[str, ...]:
    """Warnings about resources that are somebody's work and not carried over."""
    if any(number in _PATHS for number, _ in resources(data)):
        return ("The picture's saved paths are not carried over.",)
    return ()


def wrapped(records: bytes) -> bytes:
    """IPTC-IIM records as a resource without a name."""
    head = _SIGNATURE + IPTC.to_bytes(2, "big") + b"\0\0" + len(records).to_bytes(4, "big")
    return head + records + bytes(len(records) % 2)
