"""Which colour a PNG means: its profile, or what its other chunks say. Reads no chunk itself.

W3C PNG (Third Edition), section 4.3 for what takes precedence, 11.3.2 for the chunks; the numbers
of a cICP chunk are those of ITU-T H.273.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from bridge.errors import PixelsUnsupported
from bridge.imaging.profiles import built_in

CICP, ICCP, SRGB, GAMA, CHRM, RAW_ICC = b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"icc"
STATEMENTS = {CICP, ICCP, SRGB, GAMA, CHRM, RAW_ICC}
_CODED = {bytes((1, 13, 0, 1)): "sRGB", bytes((12, 13, 0, 1)): "Display P3"}
_HDR = {16: "PQ", 18: "HLG"}  # transfer functions
_GAMMA, _GAMMA_OFF = 45_455, 50  # 1 / 2.2, which sRGB's curve and Adobe RGB's both go by, and roundings
_PRIMARIES_OFF = 100  # of 100,000: writers compute them from profiles of other white points and back
_PRIMARIES = {  # x and y of white, red, green and blue
    "sRGB": (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000),
    "Adobe RGB (1998)": (31_270, 32_900, 64_000, 33_000, 21_000, 71_000, 15_000, 6_000),
    "Display P3": (31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000),
}


def refuse_hdr(coded: bytes) -> None:
    """Raise if a cICP chunk's content says that the values are not of a picture for the usual screens.

    Raises:
        PixelsUnsupported: PQ or HLG.
    """
    transfer = _HDR.get(coded[1]) if len(coded) == 4 else None
    if transfer:
        raise PixelsUnsupported(
            f"The PNG holds HDR values ({transfer}).",
            hint="Export it again without HDR, in sRGB, Display P3 or Adobe RGB.",
        )


def profile_of(statements: Mapping[bytes, bytes], *, gray: bool) -> tuple[bytes | None, tuple[str, ...]]:
    """The profile that describes the pixels, and warnings about what is not understood.

    Args:
        statements: contents by the names in `STATEMENTS`; those that a file has.
        gray: whether it is a grayscale picture.

    Returns:
        None means sRGB, or gray with sRGB's curve.
    """
    coded = statements.get(CICP)
    if coded in _CODED:
        return _built_in(_CODED[coded], gray), ()
    embedded = statements.get(ICCP) or statements.get(RAW_ICC)
    if embedded:
        return embedded, ()
    warnings: tuple[str, ...] = ()
    if coded is not None:
        warnings += ("The PNG's colour space (cICP) is not one of those supported; it was ignored.",)
    if SRGB in statements:
        return _built_in("sRGB", gray), warnings
    gamma, primaries = statements.get(GAMA), None if gray else statements.get(CHRM)
    usual = gamma is None or _is_usual(gamma)
    space = None if primaries is None else _space(primaries)
    if usual and gamma is not None and space:
        return _built_in(space, gray), warnings
    if not usual or (primaries is not None and space != "sRGB"):
        what = "gamma" if primaries is None else "gamma and primaries" if gamma else "primaries"
        warnings += (f"The PNG states {what} of its own but holds no ICC profile; sRGB is assumed.",)
    return None, warnings


def _built_in(name: str, gray: bool) -> bytes | None:
    """The profile; all of them that are used here have sRGB's curve in grayscale."""
    return None if gray else built_in(name)


def _is_usual(gamma: bytes) -> bool:
    return len(gamma) == 4 and abs(int.from_bytes(gamma, "big") - _GAMMA) <= _GAMMA_OFF


def _space(primaries: bytes) -> str | None:
    """The name of the colour space of a cHRM chunk's content, if it is one of ours."""
    if len(primaries) != 32:
        return None
    stated = struct.unpack(">8I", primaries)
    for name, expected in _PRIMARIES.items():
        if all(abs(a - b) <= _PRIMARIES_OFF for a, b in zip(stated, expected, strict=True)):
            return name
    return None
