"""ICC profiles by name: the usual working spaces, then what the system has installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from bridge.errors import ProfileError, ProfileUnknown
from bridge.imaging import icc

_D65, _D50 = (0.3127, 0.3290), (0.3457, 0.3585)
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))  # IEC 61966-2-1
_ADOBE = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))  # Adobe RGB (1998) Color Image Encoding
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))  # SMPTE RP 431-2 primaries, white D65
_ROMM = ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105))  # ISO 22028-2
_ADOBE_GAMMA, _PROPHOTO_GAMMA = 563 / 256, 461 / 256  # as the vendors' own profiles store them
_ALIASES = {
    "srgb": "sRGB",
    "srgb iec61966-2.1": "sRGB",
    "srgb iec61966-2-1": "sRGB",
    "srgb built-in": "sRGB",
    "adobe rgb (1998)": "Adobe RGB (1998)",
    "adobe rgb": "Adobe RGB (1998)",
    "adobergb1998": "Adobe RGB (1998)",
    "display p3": "Display P3",
    "p3": "Display P3",
    "prophoto rgb": "ProPhoto RGB",
    "prophoto": "ProPhoto RGB",
    "kodak prophoto rgb": "ProPhoto RGB",
    "gray gamma 2.2": "Gray Gamma 2.2",
    "gray gamma 1.8": "Gray Gamma 1.8",
    "sgray": "sGray",
}
_LARGEST = 16 << 20  # bytes; press profiles have about 2 MiB
_SUFFIXES = {".icc", ".icm"}


@lru_cache
def built_in(name: str) -> bytes:
    """One of the profiles that the bridge brings itself: a value of `_ALIASES`."""
    match name:
        case "sRGB":
            return icc.matrix_profile("sRGB IEC61966-2.1", _SRGB, _D65, icc.SRGB_CURVE)
        case "Adobe RGB (1998)":
            return icc.matrix_profile(name, _ADOBE, _D65, icc.gamma(_ADOBE_GAMMA))
        case "Display P3":
            return icc.matrix_profile(name, _P3, _D65, icc.SRGB_CURVE)
        case "ProPhoto RGB":
            return icc.matrix_profile(name, _ROMM, _D50, icc.gamma(_PROPHOTO_GAMMA))
        case "Gray Gamma 2.2":
            return icc.gray_profile(name, icc.gamma(2.2))
        case "Gray Gamma 1.8":
            return icc.gray_profile(name, icc.gamma(1.8))
        case "sGray":
            return icc.gray_profile(name, icc.SRGB_CURVE)
        case _:
            raise ProfileUnknown(f"There is no built-in profile {name!r}.")


def named_profile(name: str, folders: Iterable[Path] | None = None) -> bytes:
    """The profile that an editor shows under this name.

    Args:
        name: a profile's description; case and spaces around it do not matter.
        folders: where installed profiles lie; None means the system's usual places.

    Raises:
        ProfileUnknown: neither built in nor installed.
    """
    wanted = name.strip().casefold()
    if wanted in _ALIASES:
        return built_in(_ALIASES[wanted])
    for folder in system_folders() if folders is None else folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.suffix.lower() in _SUFFIXES and _description(path) == wanted:
                return path.read_bytes()
    raise ProfileUnknown(f"No ICC profile named {name!r} is installed here.")


@lru_cache(maxsize=2048)
def _description(path: Path) -> str | None:
    """The installed profile's description, folded; None for a file that is no profile."""
    try:
        return (
            icc.description(path.read_bytes()).strip().casefold() if path.stat().st_size <= _LARGEST else None
        )
    except (OSError, ProfileError):
        return None


def system_folders() -> list[Path]:
    """Where Windows, macOS and Linux keep installed profiles."""
    home = Path.home()
    if sys.platform == "win32":
        return [Path(os.environ.get("SYSTEMROOT", "C:/Windows")) / "System32/spool/drivers/color"]
    if sys.platform == "darwin":
        libraries = [home / "Library", Path("/Library"), Path("/System/Library")]
        adobe = Path("/Library/Application Support/Adobe/Color/Profiles")
        return [library / "ColorSync/Profiles" for library in libraries] + [adobe]
    shared = os.environ.get("XDG_DATA_DIRS", "/usr/local/share:/usr/share").split(":")
    own = [home / ".local/share/icc", home / ".color/icc"]
    return own + [Path(folder) / kind for folder in shared if folder for kind in ("color/icc", "icc")]
