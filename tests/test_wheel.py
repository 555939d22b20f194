"""What a user gets by pip: the wheel, built from a copy of this checkout and looked into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="the wheel's builder is not installed")

ROOT = Path(__file__).parents[1]
NOT_YET = {
    "weights/a-checkpoint.safetensors": b"bytes of a bundled checkpoint",
    "weights/a-checkpoint.md": b"# Its model card",
    "weights/recipe/train.py": b"# only for whoever trains",
    "weights/recipe/README.md": b"# likewise",
    "plugins/lightroom/gpen-enhance.lrplugin/Info.lua": b"return {}",
    "plugins/photoshop-uxp/manifest.json": b"{}",
    "bridge/console/index.html": b"<!doctype html>",
}
"""Files that stand for those that come with other capabilities, so that none of them gets lost."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content."""
    checkout, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", ".gitignore"):
        shutil.copy(ROOT / name, checkout)
    shutil.copytree(ROOT / "bridge", checkout / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "weights").mkdir()
    shutil.copy(ROOT / "weights" / "manifest.toml", checkout / "weights")
    for name, content in NOT_YET.items():
        path = checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out / "dist")]
    subprocess.run(build, cwd=checkout, check=True, capture_output=True)  # noqa: S603 - our own interpreter
    (wheel,) = (out / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "content")
    return out / "content"


def test_it_carries_the_package_and_all_that_is_bundled(unpacked: Path) -> None:
    for name, content in NOT_YET.items():
        if name.startswith("weights/recipe/"):
            continue
        place = name if name.startswith("bridge/") else f"bridge/bundled/{name}"
        assert (unpacked / place).read_bytes() == content
    manifest = (ROOT / "weights" / "manifest.toml").read_bytes()
    assert (unpacked / "bridge" / "bundled" / "weights" / "manifest.toml").read_bytes() == manifest
    modules = {path.relative_to(ROOT) for path in (ROOT / "bridge").rglob("*.py")}
    assert {path.relative_to(unpacked) for path in unpacked.rglob("*.py")} == modules


def test_nothing_else_is_in_it(unpacked: Path) -> None:
    assert {path.name.partition("-")[0] for path in unpacked.iterdir()} == {"bridge", "gpen_enhance"}
    assert not list(unpacked.rglob("recipe"))


def test_an_installed_bridge_finds_what_was_bundled(unpacked: Path, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from bridge.checkpoints import Checkpoints;"
        "from bridge.config import bundled;"
        "print(bundled('weights')); print(bundled('plugins'));"
        "print(Checkpoints(bundled('weights'), Path('user')).entry('gpen-lite-256').side)"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=True,
    )
    inside = unpacked / "bridge" / "bundled"
    assert done.stdout.splitlines() == [str(inside / "weights"), str(inside / "plugins"), "256"]


def test_its_licences_travel_with_it(unpacked: Path) -> None:
    (info,) = unpacked.glob("gpen_enhance-*.dist-info")
    assert (info / "licenses" / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (info / "licenses" / "NOTICE").is_file()
    assert "gpen-bridge = bridge.cli:main" in (info / "entry_points.txt").read_text()
