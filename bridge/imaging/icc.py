"""ICC profiles as files: tags read, matrix profiles built, curves made linear. Converts no colour.

ICC.1:2022. Profiles that we build are version 4, with the date fixed so that they never vary.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.errors import ProfileError

D50 = (0.9642, 1.0, 0.8249)  # the connection space's white, ICC.1 7.2.16
_HEADER = 128
_MAX_TAGS = 200
_MOST_SHARED = 8  # times the profile's length: tags may share their content, as equal curves do
_COLORANTS = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES = {b"RGB ": (b"rTRC", b"gTRC", b"bTRC"), b"GRAY": (b"kTRC",)}
_TABLES = (b"A2B", b"B2A", b"D2B", b"B2D", b"gam", b"pre")  # what would take precedence over curves
LINEAR = b"curv" + bytes(8)  # a curve of no points is the identity, ICC.1 10.6
SRGB_CURVE = struct.pack(
    ">4sIHH5i",
    b"para",
    0,
    3,
    0,
    *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)),
)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


@dataclass(frozen=True)
class Profile:
    """A profile taken apart.

    Attributes:
        kind: the device class, such as b"mntr".
        space: the colour space, such as b"RGB ".
        connection: the connection space, b"XYZ " or b"Lab ".
        tags: content by signature.
    """

    kind: bytes
    space: bytes
    connection: bytes
    tags: dict[bytes, bytes]


def parse(icc: bytes) -> Profile:
    """Read the header and the tag table.

    Raises:
        ProfileError: it is none, or a tag lies outside it.
    """
    if len(icc) < _HEADER + 4 or icc[36:40] != b"acsp":
        raise ProfileError("The ICC profile has no valid header.")
    count = int.from_bytes(icc[_HEADER : _HEADER + 4], "big")
    table = _HEADER + 4
    if count > _MAX_TAGS or len(icc) < table + 12 * count:
        raise ProfileError("The ICC profile's tag table is damaged.")
    places = list(struct.iter_unpack(">4sII", icc[table : table + 12 * count]))
    if any(start + size > len(icc) for _, start, size in places):
        raise ProfileError("The ICC profile is cut short.")
    if sum(size for _, _, size in places) > _MOST_SHARED * len(icc):
        raise ProfileError("The ICC profile's tags lie on top of each other.")
    tags = {signature: icc[start : start + size] for signature, start, size in places}
    return Profile(icc[12:16], icc[16:20], icc[20:24], tags)


def description(icc: bytes) -> str:
    """The name that editors show; empty if the profile has none.

    Raises:
        ProfileError: the profile is damaged.
    """
    tag = parse(icc).tags.get(b"desc", b"")
    if tag[:4] == b"mluc" and len(tag) >= 28:  # the first of its languages
        size, start = struct.unpack(">II", tag[20:28])
        return tag[start : start + size].decode("utf-16-be", "replace").rstrip("\0")
    if tag[:4] == b"desc" and len(tag) >= 12:  # version 2: length, then ASCII with a closing zero
        return tag[12 : 12 + int.from_bytes(tag[8:12], "big")].split(b"\0")[0].decode("ascii", "replace")
    return ""


def linear(icc: bytes) -> bytes:
    """The same primaries with linear curves.

    Raises:
        ProfileError: damaged, or a profile of tables, which has no curves to make linear.
    """
    profile = parse(icc)
    curves = _CURVES.get(profile.space, ())
    needed = {*curves, *(_COLORANTS if profile.space == b"RGB " else ())}
    if not curves or not needed <= profile.tags.keys():
        raise ProfileError(
            f"The profile {description(icc)!r} is made of tables and has no linear form.",
            hint="Convert the picture to a working space such as Adobe RGB (1998) or ProPhoto RGB.",
        )
    tags = {name: content for name, content in profile.tags.items() if not name.startswith(_TABLES)}
    return assembled(icc[:_HEADER], tags | dict.fromkeys(curves, LINEAR))


def matrix_profile(
    name: str, primaries: tuple[tuple[float, float], ...], white: tuple[float, float], curve: bytes
) -> bytes:
    """An RGB display profile.

    Args:
        name: what editors show.
        primaries: chromaticities x, y of red, green and blue.
        white: chromaticity of white, adapted to D50 after Bradford.
        curve: of all three channels: `LINEAR`, `SRGB_CURVE` or from `gamma`.
    """
    adaptation = _adaptation(_xyz(*white))
    stimuli = np.array([_xyz(x, y) for x, y in primaries]).T
    colorants = adaptation @ (stimuli * np.linalg.solve(stimuli, _xyz(*white)))
    tags = {b"chad": b"sf32" + bytes(4) + _fixed(adaptation.ravel())}
    tags |= {tag: _xyz_tag(column) for tag, column in zip(_COLORANTS, colorants.T, strict=True)}
    return _built(name, b"RGB ", tags | dict.fromkeys(_CURVES[b"RGB "], curve))


def gray_profile(name: str, curve: bytes) -> bytes:
    """A grayscale display profile; `curve` as for `matrix_profile`."""
    return _built(name, b"GRAY", {b"kTRC": curve})


def gamma(exponent: float) -> bytes:
    """A curve that is a power; rounded to 1/256, as ICC.1 10.6 stores it."""
    return struct.pack(">4sIIHH", b"curv", 0, 1, round(exponent * 256), 0)


def _xyz(x: float, y: float) -> NDArray[np.float64]:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adaptation(white: NDArray[np.float64]) -> NDArray[np.float64]:
    """From `white` to D50: the linear Bradford transform of ICC.1 annex E."""
    gains: NDArray[np.float64] = (_BRADFORD @ np.array(D50)) / (_BRADFORD @ white)
    return np.linalg.solve(_BRADFORD, gains[:, None] * _BRADFORD)


def _fixed(values: NDArray[np.float64]) -> bytes:
    return np.rint(np.asarray(values) * 65536).astype(">i4").tobytes()


def _xyz_tag(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _built(name: str, space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    date = struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head = struct.pack(">I4sI4s4s4s12s4s", 0, b"", 0x04400000, b"mntr", space, b"XYZ ", date, b"acsp")
    head = head.ljust(68, b"\0") + _fixed(np.array(D50))
    general = {b"desc": _text(name), b"cprt": _text("CC0"), b"wtpt": _xyz_tag(np.array(D50))}
    return assembled(head.ljust(_HEADER, b"\0"), general | dict(tags))


def assembled(head: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """A profile with this header, whose size and identifier are brought up to date."""
    table, body = bytearray(len(tags).to_bytes(4, "big")), bytearray()
    places: dict[bytes, int] = {}  # equal contents are stored once, as is usual for curves
    for signature, content in tags.items():
        if content not in places:
            places[content] = _HEADER + 4 + 12 * len(tags) + len(body)
            body += content + bytes(-len(content) % 4)
        table += struct.pack(">4sII", signature, places[content], len(content))
    size = (_HEADER + len(table) + len(body)).to_bytes(4, "big")
    return size + head[4:84] + bytes(16) + head[100:_HEADER] + bytes(table) + bytes(body)
