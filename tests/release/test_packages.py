"""The same sources give the same bytes, in whichever folder, order, time and mode they lie there."""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from bridge import plugins
from bridge.network.digest import file_sha256
from release import packages

pytest.importorskip("hatchling", reason="the wheel's builder is not installed")

ROOT = Path(__file__).parents[2]
TAKEN = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", ".gitignore", "bridge", "plugins")


def _checkout(folder: Path, *, backwards: bool, mode: int, time: int) -> Path:
    """A copy of this checkout, written in one order or the other."""
    found = [
        path
        for name in TAKEN
        for path in sorted((ROOT / name).rglob("*") if (ROOT / name).is_dir() else [ROOT / name])
        if path.is_file() and "__pycache__" not in path.parts
    ]
    weights = folder / "weights" / "a-checkpoint.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"bytes of a bundled checkpoint")
    for path in reversed(found) if backwards else found:
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(mode)
        os.utime(copy, (time, time))
    return folder


def test_a_wheel_is_the_same_bytes_wherever_and_whenever_it_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    here = _checkout(tmp_path / "here", backwards=False, mode=0o644, time=1_710_000_000)
    there = _checkout(tmp_path / "far" / "there", backwards=True, mode=0o600, time=1_790_000_000)
    first = packages.wheel(here, tmp_path / "a")
    second = packages.wheel(there, tmp_path / "b")
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()
    assert [path.name for path in first.parent.iterdir()] == [first.name]
    with zipfile.ZipFile(first) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2023, 11, 14, 22, 13, 20)}


@pytest.mark.parametrize("name", plugins.PLUGINS)
def test_a_plug_in_is_the_same_bytes_wherever_it_is_built(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for side, backwards, mode, time in (
        ("a", False, 0o644, 1_700_000_000),
        ("b", True, 0o600, 1_790_000_000),
    ):
        checkout = _checkout(tmp_path / side, backwards=backwards, mode=mode, time=time)
        monkeypatch.setattr(plugins, "bundled", lambda folder, checkout=checkout: checkout / folder)
        made.append(plugins.package(name, tmp_path / side / "out").read_bytes())
    assert made[0] == made[1]


def test_checksums_are_what_sha256sum_checks(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("b.zip", "a.whl")]
    for file in files:
        file.write_bytes(file.name.encode())
    listed = packages.write_checksums(files, tmp_path)
    assert (
        listed.read_bytes()
        == "".join(f"{file_sha256(file)}  {file.name}\n" for file in sorted(files)).encode()
    )
    if checker := shutil.which("sha256sum"):
        check = [checker, "--check", "--strict", "--quiet", listed.name]
        subprocess.run(check, cwd=tmp_path, check=True)  # noqa: S603 - coreutils' own
        files[0].write_bytes(b"changed on the way")
        assert subprocess.run(check, cwd=tmp_path, check=False, capture_output=True).returncode == 1  # noqa: S603 - as above
