"""EXIF blocks: what the bridge must know of them, and the few bytes that it may change.

CIPA DC-008 (Exif 2.32). A block is kept byte for byte wherever possible: maker notes hold
offsets that no outsider understands. Knows no container.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from bridge.errors import MetadataMalformed
from bridge.imaging.containers import ifd
from bridge.imaging.containers.ifd import Directory, Field, Structure, Tree

WIDTH, LENGTH = 256, 257
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
PHOTO, GPS, INTEROPERABILITY, MAKER_NOTE = 34665, 34853, 40965, 37500
COLOUR_SPACE, PIXEL_WIDTH, PIXEL_HEIGHT = 40961, 40962, 40963
_THUMBNAIL, _THUMBNAIL_BYTES = 513, 514
_RESOLUTION = {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}
_OF_THE_PIXELS = {  # tags of a TIFF's first directory that describe how its pixels are stored
    *range(254, 267), *range(273, 275), *range(277, 282), 284, *range(288, 294), *range(301, 302),
    *range(317, 318), *range(320, 326), 330, *range(332, 342), 343, 344, 346, 347, 351, 400, *range(512, 522),
    *range(529, 533), 559, 700, 33723, 34377, 34675, PHOTO, GPS, INTEROPERABILITY, 34908, 37724,
    50255, *range(50706, 50742), *range(50778, 50835), *range(50879, 50983),
}  # fmt: skip
_NEAR_THE_START = 16_384  # up to here a maker note keeps its place when a block is put together anew
_MAX_BLOCK = 16 << 20  # bytes; the largest maker notes with previews have 2 MiB
_SRGB = 1  # of COLOUR_SPACE
_INDEX = 1  # the tag in the interoperability directory that names the rule a file keeps
_KINDS = range(1, 13)  # the types that Exif knows


@dataclass(frozen=True)
class Exif:
    """A block, taken apart as far as the bridge needs.

    Attributes:
        structure: the block with its byte order.
        main: the first directory: camera, author, resolution, orientation.
        photo, gps, interoperability: the sub-directories that are there.
        damaged: names of those that are pointed to and cannot be read.
    """

    structure: Structure
    main: Directory
    photo: Directory | None
    gps: Directory | None
    interoperability: Directory | None
    damaged: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every directory could be read, and every entry of it."""
        return not self.damaged and all(
            part is None or part.whole for part in (self.main, self.photo, self.gps, self.interoperability)
        )


def read(block: bytes | memoryview) -> Exif:
    """Take a block apart; a sub-directory that cannot be read costs no other.

    Raises:
        MetadataMalformed: the block, or its first directory, cannot be read.
    """
    structure = ifd.structure(block)
    return parts(structure, structure.directory(structure.first))


def parts(structure: Structure, main: Directory) -> Exif:
    """`main` and what can be read of its sub-directories."""
    damaged: list[str] = []

    def below(directory: Directory | None, tag: int, name: str) -> Directory | None:
        offset = structure.number(directory.fields, tag) if directory else 0
        try:
            return structure.directory(offset) if offset else None
        except MetadataMalformed:
            damaged.append(name)
            return None

    photo, gps = below(main, PHOTO, "Exif"), below(main, GPS, "GPS")
    return Exif(
        structure, main, photo, gps, below(photo, INTEROPERABILITY, "Interoperability"), tuple(damaged)
    )


def losses(exif: Exif) -> tuple[str, ...]:
    """A warning for each sub-directory that is lost."""
    return tuple(
        f"The {name} directory of the EXIF data is damaged and was left out." for name in exif.damaged
    )


def orientation(exif: Exif) -> int:
    """1 to 8; 1 also when the block says nothing or nonsense."""
    value = exif.structure.number(exif.main.fields, ORIENTATION, 1)
    return value if 1 <= value <= 8 else 1


def is_adobe_rgb(exif: Exif) -> bool:
    """Whether a camera says, as DCF 2.0 has it, that the colours are Adobe RGB: index R03, not sRGB."""
    if exif.photo is None or exif.interoperability is None:
        return False
    index = exif.interoperability.fields.get(_INDEX)
    colour_space = exif.structure.number(exif.photo.fields, COLOUR_SPACE)
    return index is not None and bytes(index.value[:3]) == b"R03" and colour_space != _SRGB


def dots_per_inch(structure: Structure, fields: Mapping[int, Field]) -> tuple[float, float] | None:
    """Horizontal and vertical resolution, None if there is none or it has no unit."""
    scale = {2: 1.0, 3: 2.54}.get(structure.number(fields, RESOLUTION_UNIT, 2))
    found = []
    for tag in (X_RESOLUTION, Y_RESOLUTION):
        field = fields.get(tag)
        if scale is None or field is None or field.kind != ifd.RATIONAL or not field.count:
            return None
        numerator, denominator = structure.numbers(field, 2)
        if not numerator or not denominator:
            return None
        found.append(numerator / denominator * scale)
    return found[0], found[1]


def upright(block: bytes, width: int, height: int) -> bytes:
    """The block of a picture that has been turned: orientation 1, its size in pixels refreshed.

    Raises:
        MetadataMalformed: the block cannot be read.
    """
    exif = read(block)
    patched = bytearray(block)
    for tag, value in ((ORIENTATION, 1), (WIDTH, width), (LENGTH, height)):
        _patch(patched, exif.structure, exif.main, tag, value)
    if exif.photo:
        _patch(patched, exif.structure, exif.photo, PIXEL_WIDTH, width)
        _patch(patched, exif.structure, exif.photo, PIXEL_HEIGHT, height)
    return bytes(patched)


def _patch(block: bytearray, structure: Structure, directory: Directory, tag: int, value: int) -> None:
    """Overwrite a whole number that is there."""
    field = directory.fields.get(tag)
    code = {ifd.SHORT: "H", ifd.LONG: "I"}.get(field.kind) if field else None
    if field and field.at is not None and code and field.count == 1 and value < 256 ** struct.calcsize(code):
        struct.pack_into(structure.order + code, block, field.at, value)


def without_thumbnail(block: bytes) -> bytes:
    """The block without its second directory: the small picture there shows the photo as it was.

    The picture's bytes are blanked, or cut off where they end the block; all else keeps its place.

    Raises:
        MetadataMalformed: the block cannot be read.
    """
    exif = read(block)
    if not exif.main.following:
        return block
    patched = bytearray(block)
    link = (
        exif.structure.first
        + 2
        + 12
        * int.from_bytes(
            block[exif.structure.first : exif.structure.first + 2],
            "little" if exif.structure.order == "<" else "big",
        )
    )
    patched[link : link + 4] = bytes(4)
    try:
        preview = exif.structure.directory(exif.main.following)
    except MetadataMalformed:
        return bytes(patched)
    at = exif.structure.number(preview.fields, _THUMBNAIL)
    size = exif.structure.number(preview.fields, _THUMBNAIL_BYTES)
    if bytes(block[at : at + 2]) != b"\xff\xd8" or at + size > len(block):
        return bytes(patched)  # not where it claims to be: better a few dead bytes than a wrong cut
    patched[at : at + size] = bytes(size)
    if at + size >= len(block) - 1:  # a pad byte may follow
        del patched[at:]
    return bytes(patched)


def assembled(exif: Exif, *, maker_note: bool = True) -> bytes | None:
    """A block made of a TIFF file's directories, or of what is readable of a damaged block.

    With `maker_note` false, the maker's own notes are left out, which are most of a block's bytes.
    A maker note near the start keeps its offset, because some count theirs from the start of
    the block. None if nothing but the resolution is known.

    Raises:
        MetadataMalformed: the parts are larger than any camera writes.
    """
    main: dict[int, Field | Tree] = dict(_movable(descriptive(exif)))
    lead = bytes(8)
    if exif.photo:
        photo: dict[int, Field | Tree] = dict(_movable(exif.photo.fields))
        photo.pop(INTEROPERABILITY, None)
        note = exif.photo.fields.get(MAKER_NOTE)
        if not maker_note:
            photo.pop(MAKER_NOTE, None)
        elif note and note.at is not None and 8 <= note.at <= _NEAR_THE_START:
            lead = bytes(note.at) + bytes(note.value)
            photo[MAKER_NOTE] = note
        if exif.interoperability:
            photo[INTEROPERABILITY] = _movable(exif.interoperability.fields)
        main[PHOTO] = photo
    if exif.gps:
        main[GPS] = _movable(exif.gps.fields)
    if not main.keys() - _RESOLUTION:
        return None
    if _weight(main) > _MAX_BLOCK:
        raise MetadataMalformed("The EXIF block is larger than any camera writes.")
    lead += bytes(len(lead) % 2)
    return (
        ifd.header(exif.structure.order, len(lead))
        + lead[8:]
        + ifd.laid_out(exif.structure.order, main, len(lead))
    )


def of_resolution(dots_per_inch: tuple[float, float]) -> bytes:
    """A block that states nothing but a resolution."""
    return ifd.header("<", 8) + ifd.laid_out("<", dict(resolution_fields("<", dots_per_inch)), 8)


def resolution_fields(order: ifd.Order, dots_per_inch: tuple[float, float]) -> dict[int, Field]:
    """The fields of a resolution in dots per inch."""
    fields = {RESOLUTION_UNIT: ifd.field(order, ifd.SHORT, 2)}
    for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dots_per_inch, strict=True):
        ratio = Fraction(value).limit_denominator(10_000)
        fields[tag] = ifd.field(order, ifd.RATIONAL, ratio.numerator, ratio.denominator)
    return fields


def descriptive(exif: Exif) -> dict[int, Field]:
    """The fields of the first directory that describe the photo and not how its pixels are stored."""
    return {
        tag: field
        for tag, field in exif.main.fields.items()
        if tag not in _OF_THE_PIXELS and field.kind in _KINDS
    }


def _movable(fields: Mapping[int, Field]) -> dict[int, Field]:
    """The same fields, free to lie elsewhere."""
    return {tag: replace(field, at=None) for tag, field in fields.items() if field.kind in _KINDS}


def _weight(tree: Tree) -> int:
    """Bytes of all values."""
    return sum(len(part.value) if isinstance(part, Field) else _weight(part) for part in tree.values())
