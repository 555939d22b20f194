"""What the emulated host renders: small generated photos as real files, in the form that was asked for."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from bridge.imaging.colour import named_profile

PROFILES = {
    "sRGB": "sRGB",
    "AdobeRGB": "Adobe RGB (1998)",
    "DisplayP3": "Display P3",
    "ProPhotoRGB": "ProPhoto RGB",
}


def pixels_of(uuid: str, develop: Mapping[str, Any], width: int, height: int) -> NDArray[np.uint16]:
    """A photo's developed pixels: H x W x 3 uint16 RGB; the same photo and edits give the same ones."""
    seed = hashlib.sha256((uuid + json.dumps(develop, sort_keys=True)).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    ramp = np.linspace(12000, 48000, width)[None, :, None] + np.zeros((height, 1, 3))
    noise = rng.integers(-3000, 3000, (height, width, 3))
    return np.clip(ramp + noise, 0, 65535).astype(np.uint16)


def rendered(
    uuid: str, develop: Mapping[str, Any], settings: Mapping[str, Any], size: tuple[int, int]
) -> bytes:
    """The file that the host writes for these export settings.

    Raises:
        KeyError: a format that this darkroom does not know.
    """
    width, height = size
    if settings.get("LR_size_doConstrain"):
        longest = max(width, height)
        scale = min(1.0, settings["LR_size_maxWidth"] / longest)
        width, height = round(width * scale), round(height * scale)
    pixels = pixels_of(uuid, develop, width, height)
    profile = named_profile(PROFILES[settings.get("LR_export_colorSpace", "sRGB")])
    eight = (pixels >> 8).astype(np.uint8)
    out = io.BytesIO()
    if settings["LR_format"] == "TIFF":
        deep = settings.get("LR_export_bitDepth", 8) == 16
        tifffile.imwrite(out, pixels if deep else eight, photometric="rgb", iccprofile=profile, metadata=None)
    else:
        name = {"JPEG": "JPEG", "PNG": "PNG", "PSD": "BMP"}[settings["LR_format"]]
        Image.fromarray(eight).save(out, name, **({"icc_profile": profile} if name != "BMP" else {}))
    return out.getvalue()


def kind_of(path: Path) -> str:
    """The format of a file by its first bytes."""
    head = path.read_bytes()[:4]
    return {b"II*\0": "TIFF", b"MM\0*": "TIFF", b"\x89PNG": "PNG"}.get(
        head, "JPEG" if head[:2] == b"\xff\xd8" else "?"
    )
