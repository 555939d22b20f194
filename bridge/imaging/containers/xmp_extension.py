"""XMP too long for one JPEG segment: split into a packet and its extension, and joined again.

XMP Specification Part 3 (Adobe, 2020), section 1.1.3.1. What is moved is moved as it was written.
"""

from __future__ import annotations

import hashlib
from itertools import groupby

from bridge.errors import MetadataMalformed
from bridge.imaging.containers import xmp

_NOTE = "http://ns.adobe.com/xmp/note/"
_HAS_EXTENSION = (_NOTE, "HasExtendedXMP")


def extension_of(packet: bytes) -> str | None:
    """The 32-digit name of the extension that the packet announces, None without one.

    Raises:
        MetadataMalformed: the packet cannot be read.
    """
    return xmp.parse(packet).value(_HAS_EXTENSION)


def joined(packet: bytes, extension: bytes) -> bytes:
    """The packet with the extension's descriptions in it, and without the note that announced them.

    Raises:
        MetadataMalformed: one of the two cannot be read.
    """
    main, more = xmp.parse(packet), xmp.parse(extension)
    if main.close is None:
        raise MetadataMalformed("The XMP announces an extension but has nowhere to put it.")
    moved = b"".join(_self_contained(more, description) for description in more.descriptions)
    note = [(p.start, p.end, b"") for p in main.properties if p.name == _HAS_EXTENSION]
    return xmp.spliced(packet, [*note, (main.close, main.close, moved)])


def _self_contained(packet: xmp.Packet, description: xmp.Description) -> bytes:
    """A description as it is written, with the prefixes that its ancestors declare for it."""
    tag = packet.data[description.start : description.tag_end]
    declared = b"".join(
        b' xmlns:%s="%s"' % (prefix.encode(), xmp.escaped(uri))
        for prefix, uri in sorted(description.scope.items())
        if prefix and b"xmlns:%s=" % prefix.encode() not in tag
    )
    name_end = description.start + len(tag.split(None, 1)[0].rstrip(b"/>"))
    return (
        packet.data[description.start : name_end] + declared + packet.data[name_end : description.end] + b"\n"
    )


def split(packet: bytes, limit: int) -> tuple[bytes, bytes, str]:
    """A packet of at most `limit` bytes, its extension, and the extension's name (MD5, as specified).

    The longest properties move first, so that what programs look for most stays in the packet.

    Raises:
        MetadataMalformed: the packet cannot be read, or does not become short enough.
    """
    found = xmp.parse(packet.rstrip(b"\0"))
    moved: list[xmp.Property] = []
    excess = len(_unpadded(packet)) - limit + 512  # room for the note
    for candidate in sorted(found.properties, key=lambda p: p.start - p.end):
        if excess <= 0:
            break
        moved.append(candidate)
        excess -= candidate.end - candidate.start
    moved.sort(key=lambda p: p.start)
    extension = _extension(found, moved)
    name = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper()
    rest = xmp.spliced(found.data, [(p.start, p.end, b"") for p in moved])
    main = _unpadded(xmp.with_properties(rest, {_NOTE: "xmpNote"}, [(_HAS_EXTENSION, name)]))
    if len(main) > limit:
        raise MetadataMalformed("The XMP is too long for a JPEG.")
    return main, extension, name


def _extension(packet: xmp.Packet, moved: list[xmp.Property]) -> bytes:
    """A document of the moved properties; each keeps the prefixes of the description it stood in."""
    parts = [b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="%s">\n' % xmp.RDF.encode()]
    for index, group in groupby(moved, key=lambda p: p.description):
        description, mine = packet.descriptions[index], list(group)
        scope = {prefix: uri for prefix, uri in description.scope.items() if prefix and prefix != "rdf"}
        parts.append(b'<rdf:Description rdf:about="%s"' % packet.about)
        parts += [b' xmlns:%s="%s"' % (p.encode(), xmp.escaped(u)) for p, u in sorted(scope.items())]
        parts += [packet.data[p.start : p.end] for p in mine if p.attribute]
        parts.append(b">")
        parts += [packet.data[p.start : p.end] for p in mine if not p.attribute]
        parts.append(b"</rdf:Description>\n")
    parts.append(b"</rdf:RDF></x:xmpmeta>")
    return b"".join(parts)


def _unpadded(packet: bytes) -> bytes:
    """The packet without the blank space that editors leave before its end."""
    body, marker, end = packet.rpartition(b"<?xpacket end=")
    return body.rstrip() + b"\n" + marker + end if marker else packet.rstrip(b"\0 \t\r\n")
