"""A home of its own for each test, a very small network, and someone to type commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from bridge.cli import app
from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Type = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("GPEN_HOME", str(folder))
    monkeypatch.setenv("GPEN_DEVICE", "cpu")
    return folder


@pytest.fixture
def type_(home: Path) -> Type:
    """Runs `gpen-bridge WORD...`."""

    def run(*words: str | Path) -> Said:
        result = CliRunner().invoke(app, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPEN of 32 pixels with random weights."""
    import torch

    from bridge.network.architecture import Architecture
    from bridge.network.gpen import GPEN

    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("weights") / "tiny.pth"
    torch.save(GPEN(Architecture((4,) * 3, style_dim=8, mlp_depth=1)).state_dict(), path)
    return path


@pytest.fixture
def installed(type_: Type, tiny: Path) -> None:
    """The small network is imported, and so it is what `auto` picks."""
    said = type_("weights", "import", tiny, "--accept-licence")
    assert said.status == 0, said


@pytest.fixture
def photos(tmp_path: Path, portrait: NDArray[np.uint8]) -> Path:
    """A folder with a portrait, a picture without a face, and things that are not pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    small = Image(np.ascontiguousarray(portrait[:256, 100:356]))
    (folder / "anna.png").write_bytes(encode(small, Format.PNG).data)
    (folder / "sky.JPEG").write_bytes(encode(Image(np.full((80, 120, 3), 200, np.uint8)), Format.JPEG).data)
    (folder / "notes.txt").write_text("not a picture")
    (folder / ".hidden.png").write_text("not ours")
    (folder / "older-GPEN.png").write_bytes(b"a result of ours")
    return folder
