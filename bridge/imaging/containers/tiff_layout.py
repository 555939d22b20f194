"""How a TIFF lays its pixels out, and which layouts are refused and why. Reads no pixel.

TIFF 6.0; extra samples after its section 18, sample formats after section 19.
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.errors import FormatUnsupported, ImageError, ImageTruncated, MetadataMalformed, PixelsUnsupported
from bridge.imaging.containers.formats import Format, Header
from bridge.imaging.containers.ifd import Directory, Field, Structure, structure

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 274, 277, 278, 279, 284
PREDICTOR, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 317, 320, 322, 323, 324, 325
SUB_DIRECTORIES, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES, SUBFILE, PHOTOSHOP_LAYERS = (
    330,
    338,
    339,
    347,
    254,
    37724,
)
XMP, IPTC, PHOTOSHOP, ICC = 700, 33723, 34377, 34675
ASSOCIATED, UNASSOCIATED = 1, 2  # values of EXTRA_SAMPLES
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6  # values of PHOTOMETRIC
NONE, LZW, JPEG, ADOBE_DEFLATE, DEFLATE, PACKBITS, ZSTD = 1, 5, 7, 8, 32946, 32773, 50000
UNPREDICTED, HORIZONTAL, FLOATING = 1, 2, 3  # values of PREDICTOR
_DNG_VERSION = 50706
_RAW_PHOTOMETRICS = (32803, 34892)  # colour filter array, linear raw
_OTHER_PHOTOMETRICS = {
    4: "a mask",
    5: "CMYK",
    8: "Lab",
    9: "Lab",
    10: "Lab",
    32844: "LogLuv",
    32845: "LogLuv",
}
_PREDICTED = {LZW, ADOBE_DEFLATE, DEFLATE, ZSTD}  # with others libtiff takes no notice of PREDICTOR
_COMPRESSIONS = {NONE, JPEG, PACKBITS, *_PREDICTED}
_MAX_PAGES = 16  # directories looked at to tell pages from previews
_MAX_SEGMENTS = 300_000  # a row each of the tallest pictures, each channel apart
_MAX_SAMPLES = 32
_MOST_PADDING = 1 << 28  # bytes: tiles may be larger than their picture, but not arbitrarily so


@dataclass(frozen=True)
class Layout:
    """Where the pixels lie and how they are packed.

    Attributes:
        structure, directory: what was read.
        width, height: of the picture.
        samples: channels as stored, extra ones included.
        colours: 1 or 3 channels of colour after a palette is looked up.
        alpha: index of the stored channel that is alpha, None without one.
        associated: whether the colour is premultiplied with alpha.
        bits: bits a sample.
        floating: whether samples are floats.
        photometric, compression: the tags' values.
        predictor: the tag's value where the compression has one, else UNPREDICTED.
        planar: whether each channel lies apart.
        across, down: width and height of a strip or tile.
        offsets, sizes: bytes, for each strip or tile in order.
        warnings: what of the file is not carried on.
    """

    structure: Structure
    directory: Directory
    width: int
    height: int
    samples: int
    colours: int
    alpha: int | None
    associated: bool
    bits: int
    floating: bool
    photometric: int
    compression: int
    predictor: int
    planar: bool
    across: int
    down: int
    offsets: list[int]
    sizes: list[int]
    warnings: tuple[str, ...]

    @property
    def header(self) -> Header:
        """What `inspect` tells."""
        depth = 32 if self.floating else 16 if self.bits == 16 else 8
        channels = self.colours + (self.alpha is not None)
        stored = self.samples * max(self.bits, 8) // 8
        return Header(Format.TIFF, self.width, self.height, channels, depth, stored=stored)


def read_layout(data: memoryview) -> Layout:
    """The layout of the first page.

    Raises:
        FormatUnsupported: a camera raw file in TIFF's clothes.
        PixelsUnsupported: CMYK, Lab, several pages, and depths or compressions that are not supported.
        ImageTruncated: the file ends before a directory, strip or tile does.
        ImageError: the tags contradict each other.
    """
    try:
        tiff = structure(data)
        directory = tiff.directory(tiff.first)
    except MetadataMalformed as error:
        raise ImageTruncated("The TIFF's directory lies beyond the end of the file.") from error
    _refuse_raw(data, tiff, directory)
    _refuse_pages(tiff, directory)
    return _described(tiff, directory)


def _refuse_raw(data: memoryview, tiff: Structure, directory: Directory) -> None:
    """Raw files of Canon (CR2), Nikon, Sony and others are TIFFs whose first page is a preview."""
    photometric = tiff.number(directory.fields, PHOTOMETRIC, RGB)
    preview = tiff.number(directory.fields, SUBFILE) & 1 and SUB_DIRECTORIES in directory.fields
    if (
        photometric in _RAW_PHOTOMETRICS
        or _DNG_VERSION in directory.fields
        or bytes(data[8:10]) == b"CR"
        or preview
    ):
        raise FormatUnsupported(
            "The file is a camera raw file.", hint="Export it from Lightroom or Camera Raw as a 16-bit TIFF."
        )


def _refuse_pages(tiff: Structure, directory: Directory) -> None:
    """A second directory is a page, unless it says that it is a smaller copy or a mask."""
    following, seen = directory.following, {tiff.first}
    for _ in range(_MAX_PAGES):
        if not following or following in seen:
            return
        seen.add(following)
        try:
            page = tiff.directory(following)
        except MetadataMalformed:
            return  # the first page is all that is wanted
        if not tiff.number(page.fields, SUBFILE) & 0b101:
            raise PixelsUnsupported(
                "The TIFF has several pages.", hint="Save each page as a file of its own."
            )
        following = page.following


def _described(tiff: Structure, directory: Directory) -> Layout:
    fields = directory.fields

    def number(tag: int, default: int) -> int:
        return tiff.number(fields, tag, default)

    width, height, samples = number(WIDTH, 0), number(HEIGHT, 0), number(SAMPLES, 1)
    if width < 1 or height < 1 or not 1 <= samples <= _MAX_SAMPLES:
        raise ImageError("The TIFF does not say how large it is.")
    compression = number(COMPRESSION, NONE)
    photometric = number(PHOTOMETRIC, RGB if samples >= 3 else BLACK_IS_ZERO)
    colours, stored_colours = _colours(photometric, samples, compression)
    bits, floating = _sample_type(tiff, directory, samples, photometric)
    if compression not in _COMPRESSIONS:
        raise PixelsUnsupported(
            f"The TIFF is compressed in a way that is not supported (number {compression}).",
            hint="Save it without compression, or with LZW, ZIP or ZSTD.",
        )
    if number(FILL_ORDER, 1) != 1 or (compression == JPEG and bits != 8):
        raise PixelsUnsupported("The TIFF's bits are in an unusual order or depth.")
    predictor = number(PREDICTOR, UNPREDICTED) if compression in _PREDICTED else UNPREDICTED
    _refuse_predictor(predictor, bits, floating)
    alpha, associated, warnings = _extra_samples(tiff, directory, samples, stored_colours)
    if not directory.whole:
        warnings += ("Some of the TIFF's fields cannot be read and were left out.",)
    if PHOTOSHOP_LAYERS in fields:
        warnings += ("The layers of the TIFF are not carried; its flattened picture is used.",)
    planar = number(PLANAR, 1) == 2 and samples > 1
    planes = samples if planar else 1
    across, down, offsets, sizes = _segments(tiff, directory, width, height, planes)
    unpacked = len(offsets) * across * down * (samples // planes) * bits // 8
    if unpacked > max(_MOST_PADDING, 4 * width * height * samples * bits // 8):
        raise ImageError("The TIFF's tiles are far larger than its picture.")
    return Layout(
        tiff, directory, width, height, samples, colours, alpha, associated, bits, floating, photometric,
        compression, predictor, planar, across, down, offsets, sizes, warnings,
    )  # fmt: skip


def _colours(photometric: int, samples: int, compression: int) -> tuple[int, int]:
    """Colour channels that come out, and how many samples store them."""
    if photometric in _OTHER_PHOTOMETRICS:
        raise PixelsUnsupported(
            f"The TIFF is {_OTHER_PHOTOMETRICS[photometric]}.", hint="Convert it to RGB in Photoshop first."
        )
    if photometric == YCBCR and compression != JPEG:
        raise PixelsUnsupported("The TIFF is YCbCr without JPEG compression.", hint="Save it as RGB.")
    if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR):
        raise PixelsUnsupported(f"The TIFF's colour space (number {photometric}) is not supported.")
    colours = 1 if photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO) else 3
    stored = 1 if photometric == PALETTE else colours
    if samples < stored:
        raise ImageError("The TIFF has fewer channels than its colour space needs.")
    return colours, stored


def whole_numbers(tiff: Structure, field: Field, most: int, largest: int = 2**64 - 1) -> list[int]:
    """The first so many values of a field that counts something, of whatever type it is.

    Raises:
        ImageError: one is negative, larger than `largest`, no whole number, or no number at all.
    """
    values = tiff.numbers(field, most)
    if not all(float(value).is_integer() and 0 <= value <= largest for value in values):
        raise ImageError("The TIFF has numbers in its directory that make no sense there.")
    return [int(value) for value in values]


def _sample_type(tiff: Structure, directory: Directory, samples: int, photometric: int) -> tuple[int, bool]:
    """Bits a sample and whether it is a float."""
    fields = directory.fields
    depths = set(whole_numbers(tiff, fields[BITS], samples)) if BITS in fields else {1}
    formats = set(whole_numbers(tiff, fields[SAMPLE_FORMAT], samples)) if SAMPLE_FORMAT in fields else {1}
    if len(depths) != 1 or len(formats) != 1:
        raise PixelsUnsupported("The TIFF's channels have different depths.")
    bits, kind = depths.pop(), formats.pop()
    whole = kind in (1, 4)  # 4 is "undefined", which everybody reads as unsigned
    if kind == 3 and bits in (16, 32, 64) and photometric != PALETTE:
        return bits, True
    if whole and (bits == 8 or (bits == 16 and photometric != PALETTE)):
        return bits, False
    if whole and bits in (1, 2, 4) and samples == 1:
        return bits, False
    name = {1: "whole numbers", 2: "signed numbers", 3: "floats"}.get(kind, "complex numbers")
    raise PixelsUnsupported(f"The TIFF has {bits}-bit {name}; 8 and 16 bits and 32-bit floats are supported.")


def _refuse_predictor(predictor: int, bits: int, floating: bool) -> None:
    """Those that libtiff refuses too: nobody can tell what a writer meant by them."""
    if (
        predictor not in (UNPREDICTED, HORIZONTAL, FLOATING)
        or (predictor == HORIZONTAL and bits < 8)
        or (predictor == FLOATING and not floating)
    ):
        kind = "floats" if floating else "whole numbers"
        raise PixelsUnsupported(
            f"The TIFF's predictor (number {predictor}) does not go with {bits}-bit {kind}.",
            hint="Save it again from an image editor, or without compression.",
        )


def _extra_samples(
    tiff: Structure, directory: Directory, samples: int, stored: int
) -> tuple[int | None, bool, tuple[str, ...]]:
    """Which stored channel is alpha, whether colour is premultiplied with it, and what is left out.

    A channel that does not say that it is alpha is none (a saved selection in Photoshop's terms):
    written back as alpha it would turn parts of the photo transparent.
    """
    extra = samples - stored
    if not extra:
        return None, False, ()
    field = directory.fields.get(EXTRA_SAMPLES)
    meanings = whole_numbers(tiff, field, extra) if field else []
    alpha = next((i for i, m in enumerate(meanings[:extra]) if m in (ASSOCIATED, UNASSOCIATED)), None)
    left_out = extra - (alpha is not None)
    warnings = (
        (f"{left_out} extra channel(s) of the TIFF (saved selections) are not carried.",) if left_out else ()
    )
    if alpha is None:
        return None, False, warnings
    return stored + alpha, meanings[alpha] == ASSOCIATED, warnings


def _segments(
    tiff: Structure, directory: Directory, width: int, height: int, planes: int
) -> tuple[int, int, list[int], list[int]]:
    """Width and height of a strip or tile, and their offsets and sizes in bytes.

    Raises:
        ImageTruncated: one reaches past the end of the file.
        ImageError: there are not as many as the size needs.
    """
    fields = directory.fields
    tiled = TILE_OFFSETS in fields
    if tiled:
        across, down = tiff.number(fields, TILE_WIDTH), tiff.number(fields, TILE_HEIGHT)
    else:
        across, down = width, min(tiff.number(fields, ROWS_PER_STRIP, height) or height, height)
    if across < 1 or down < 1:
        raise ImageError("The TIFF's tiles have an impossible size.")
    expected = -(-width // across) * -(-height // down) * planes
    places = fields.get(TILE_OFFSETS if tiled else STRIP_OFFSETS)
    lengths = fields.get(TILE_BYTES if tiled else STRIP_BYTES)
    if places is None or places.count < expected or expected > _MAX_SEGMENTS:
        raise ImageError("The TIFF does not say where its pixels are.")
    offsets = whole_numbers(tiff, places, expected)
    end = len(tiff.data)
    if lengths is not None and lengths.count >= expected:
        sizes = whole_numbers(tiff, lengths, expected)
    else:  # early writers left the sizes out; up to the end of the file is always enough
        sizes = [max(end - offset, 0) for offset in offsets]
    if any(offset + size > end or not size for offset, size in zip(offsets, sizes, strict=True)):
        raise ImageTruncated("The TIFF ends before its pixels do.")
    return across, down, offsets, sizes
