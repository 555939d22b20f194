"""Pictures and metadata for the tests of `bridge/imaging/`, made by other programs than ours."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL.TiffImagePlugin import IFDRational

GPS = {1: "N", 2: (IFDRational(52), IFDRational(30), IFDRational(1234, 100)), 3: "E", 29: "2026:05:01"}
PHOTO = {
    33434: IFDRational(1, 200),
    34855: 400,
    36867: "2026:05:01 12:30:00",
    42036: "RF85mm F1.2",
    37500: b"MAKER" * 40,
}
MAIN = {
    271: "Canon",
    272: "EOS R5",
    315: "Ana Mueller",
    33432: "(c) Ana",
    282: IFDRational(300),
    283: IFDRational(300),
    296: 2,
}
IPTC = b"\x1c\x02\x00\x00\x02\x00\x04\x1c\x02\x05\x00\x05Title\x1c\x02\x19\x00\x07wedding"
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '<rdf:Description rdf:about="uuid:7" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmp:Rating="4" tiff:Orientation="1">\n'
    " <!-- a note --><dc:subject><rdf:Bag><rdf:li>bride &amp; groom</rdf:li></rdf:Bag></dc:subject>\n"
    f'</rdf:Description></rdf:RDF></x:xmpmeta>\n{" " * 40}\n<?xpacket end="w"?>'
).encode()


def xmp_of(inside: str, *, rest: str = "") -> bytes:
    """A packet of one description with these attributes, namespaces among them, and elements."""
    head = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    description = f'<rdf:Description rdf:about="" {inside}>{rest}</rdf:Description>'
    return f"{head}{description}</rdf:RDF></x:xmpmeta>".encode()


def exif_block(
    orientation: int = 1,
    *,
    size: tuple[int, int] | None = None,
    order: str = "<",
    interoperability: str | None = None,
    colour_space: int | None = None,
) -> bytes:
    """An EXIF block with camera, GPS and maker note, written by Pillow."""
    exif = Pillow.Exif()
    exif.endian = order
    exif.update(MAIN)
    exif[274] = orientation
    exif.get_ifd(34665).update(PHOTO)
    exif.get_ifd(34853).update(GPS)
    if interoperability:
        exif.get_ifd(34665)[40965] = {1: interoperability}
    if colour_space is not None:
        exif.get_ifd(34665)[40961] = colour_space
    if size:
        exif.get_ifd(34665).update({40962: size[0], 40963: size[1]})
    return exif.tobytes().removeprefix(b"Exif\0\0")


def with_thumbnail(block: bytes) -> bytes:
    """The block with a second directory that holds a small JPEG."""
    small = io.BytesIO()
    Pillow.new("RGB", (16, 12), "red").save(small, "JPEG")
    order = "<" if block.startswith(b"II") else ">"
    link = 8 + 2 + 12 * struct.unpack_from(order + "H", block, 8)[0]
    at = len(block)
    entries = [(259, 3, 1, 6 if order == "<" else 6 << 16), (513, 4, 1, at + 42), (514, 4, 1, small.tell())]
    directory = struct.pack(order + "H", 3) + b"".join(struct.pack(order + "HHII", *e) for e in entries)
    return (
        block[:link]
        + struct.pack(order + "I", at)
        + block[link + 4 :]
        + directory
        + bytes(4)
        + small.getvalue()
    )


def facts(block: bytes | None) -> dict[str, dict[int, Any]]:
    """What Pillow reads in an EXIF block, without pointers and padding."""
    exif = Pillow.Exif()
    exif.load(b"Exif\0\0" + (block or b""))
    parts = {"main": dict(exif), "photo": exif.get_ifd(34665), "gps": exif.get_ifd(34853)}
    return {
        name: {tag: value for tag, value in fields.items() if tag not in (34665, 34853, 40965, 274)}
        for name, fields in parts.items()
    }


def pixels(height: int, width: int, channels: int, dtype: str, seed: int = 0) -> NDArray[Any]:
    """Random pixels over the whole range of a type."""
    random = np.random.default_rng(seed)
    if dtype == "float32":
        return random.random((height, width, channels), np.float32)
    return random.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)
