"""What users get can be made again byte by byte; all in it has a known version, hash and licence."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from bridge import plugins
from release.__main__ import LOCK, ROOT, build_wheel, licences_text, write_sums
from release.licences import Licensed, licences

PINNED = re.compile(r"^([\w.-]+)==([^ ;\\]+)(.*?)(?=^[\w.-]+==|\Z)", re.MULTILINE | re.DOTALL)


def locked() -> dict[str, list[tuple[Version, int]]]:
    """Every library of the lock: its versions, and how many hashes each has."""
    found: dict[str, list[tuple[Version, int]]] = {}
    for name, version, rest in PINNED.findall(LOCK.read_text(encoding="utf-8")):
        entry = (Version(version), len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", rest)))
        found.setdefault(canonicalize_name(name), []).append(entry)
    return found


def test_every_dependency_is_locked_within_its_range_and_by_hash() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = locked()
    for text in project["dependencies"]:
        needed = Requirement(text)
        versions = lock[canonicalize_name(needed.name)]
        assert all(version in needed.specifier for version, _ in versions), text
    assert all(hashes > 0 for versions in lock.values() for _, hashes in versions)
    assert "://" not in LOCK.read_text(encoding="utf-8").replace("# via", "")  # names no host


def test_what_is_tested_is_what_is_locked() -> None:
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    assert pins
    for pin in pins:
        for version, _ in locked()[canonicalize_name(pin.name)]:
            assert version in pin.specifier


def test_every_licence_is_known_to_fit() -> None:
    found = licences()
    assert {"torch", "aiohttp", "numpy", "opencv-python-headless"} <= {one.name for one in found}
    assert len(found) > 25
    assert [one for one in found if not one.allowed] == []
    text = licences_text(found)
    assert all(f"| {one.name} | {one.version} |" in text for one in found)


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache Software License", True),
        ("Apache-2.0 AND MIT", True),
        ("", False),
        ("GPL-3.0-only", False),
        ("MIT AND AGPL-3.0", False),
        ("GNU Lesser General Public License v3", False),
        ("CC-BY-NC-4.0 non-commercial", False),
        ("NVIDIA Proprietary Software", False),
        ("permit everything", False),
    ],
)
def test_what_is_not_known_is_refused(licence: str, allowed: bool) -> None:
    assert Licensed("x", "1", licence).allowed == allowed


@pytest.mark.slow
def test_the_wheel_is_the_same_bytes_wherever_and_whenever_it_is_built(tmp_path: Path) -> None:
    built = []
    for name, stamp in (("one", 1_000_000_000), ("a longer way/two", 1_700_000_000)):
        checkout = tmp_path / name
        for part in (
            "pyproject.toml",
            "README.md",
            "LICENSE",
            "NOTICE",
            ".gitignore",
            "weights/manifest.toml",
        ):
            (checkout / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / part, checkout / part)
        shutil.copytree(ROOT / "bridge", checkout / "bridge", ignore=shutil.ignore_patterns("__pycache__"))
        for path in checkout.rglob("*"):
            os.utime(path, (stamp, stamp))
        built.append(build_wheel(checkout, tmp_path / f"dist-{stamp}"))
    assert built[0].name == built[1].name
    assert built[0].read_bytes() == built[1].read_bytes()


@pytest.mark.parametrize("name", list(plugins.PLUGINS))
def test_plug_ins_are_the_same_bytes_each_time(tmp_path: Path, name: str) -> None:
    first, second = (plugins.package(name, tmp_path / folder) for folder in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_the_checksums_are_of_all_files_and_right(tmp_path: Path) -> None:
    for name in plugins.PLUGINS:
        plugins.package(name, tmp_path)
    lines = write_sums(tmp_path).read_text().splitlines()
    told = dict(reversed(line.split("  ")) for line in lines)
    files = {path.name: path for path in tmp_path.iterdir() if path.name != "SHA256SUMS"}
    assert told == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert write_sums(tmp_path).read_text().splitlines() == lines  # not over itself
