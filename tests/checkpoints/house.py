"""A product folder, a user's folder and a desk, with very small networks in them."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from pathlib import Path

import torch

from bridge.checkpoints import Checkpoints
from bridge.network import checkpoint
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN

LICENCES = """
[licences.free]
title = "Free"
terms = "Do as you like."
consent = false
commercial = true

[licences.strict]
title = "Strict"
terms = "Ask first."
consent = true
commercial = false
"""


def weights(side: int, seed: int = 0, width: int = 4) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return GPEN(Architecture((width,) * (side.bit_length() - 2), style_dim=8, mlp_depth=1)).state_dict()


def pth(path: Path, side: int = 16, seed: int = 0, width: int = 4) -> Path:
    torch.save(OrderedDict(weights(side, seed, width)), path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entry(name: str, side: int, licence: str = "strict", **fields: object) -> str:
    base: dict[str, object] = {
        "name": name,
        "title": name,
        "summary": "Small.",
        "files": [f"{name}.pth"],
        "licence": licence,
        "side": side,
        "template": "gpen",
        "crop_border": "black",
        "face_share": 0.5,
    }
    lines = (f"{key} = {json.dumps(value)}" for key, value in (base | fields).items())
    return "\n[[checkpoint]]\n" + "\n".join(lines) + "\n"


class House:
    """A product folder, a user's folder and a desk with files, none of which exist yet."""

    def __init__(self, root: Path) -> None:
        self.bundled, self.user, self.desk = root / "bundled", root / "user", root / "desk"
        self.bundled.mkdir()
        self.desk.mkdir()

    def checkpoints(self, *entries: str) -> Checkpoints:
        (self.bundled / "manifest.toml").write_text(LICENCES + "".join(entries), encoding="utf-8")
        return Checkpoints(self.bundled, self.user, schemes=("http",))

    def lite(self, side: int = 16) -> str:
        path = self.bundled / "lite.safetensors"
        checkpoint.save(weights(side), path, {})
        return entry(
            "lite",
            side,
            "free",
            files=[path.name],
            bundled=True,
            bytes=path.stat().st_size,
            sha256=sha256(path),
        )

    def kept(self) -> list[str]:
        """What lies in the user's folder, but for the notes of consent and trust."""
        found = self.user.iterdir() if self.user.exists() else []
        return sorted(p.name for p in found if p.suffix not in (".lock", ".json"))
