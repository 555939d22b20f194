"""What make installs and what the hashed files name are one set of versions, whole, and the one in use."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from release import inventory, locks
from release.locks import BRIDGE, CONSTRAINTS, STUDIO, TORCH, pins

HASHED = (BRIDGE, TORCH, STUDIO)


def test_both_kinds_of_files_name_the_same_versions() -> None:
    constrained = {(pin.name, pin.version, pin.marker) for pin in pins(CONSTRAINTS)}
    for path in HASHED:
        for pin in pins(path):
            assert (pin.name, pin.version, pin.marker) in constrained, (path.name, pin)


def test_every_line_of_the_hashed_files_has_hashes() -> None:
    for path in HASHED:
        for pin in pins(path):
            assert pin.hashes, (path.name, pin.name)
            assert all(re.fullmatch(r"[0-9a-f]{64}", hashed) for hashed in pin.hashes)


def test_torch_and_what_its_cuda_build_brings_are_a_file_of_their_own() -> None:
    apart = {pin.name for pin in pins(TORCH)}
    assert {"torch", "triton"} < apart
    assert apart.isdisjoint(pin.name for pin in pins(BRIDGE))
    assert {name for name in apart if not locks.TORCH_ONLY.match(name)} == set()


def test_a_studio_installs_three_files_of_which_none_repeats_another() -> None:
    named = [{pin.name for pin in pins(path)} for path in HASHED]
    assert sum(map(len, named)) == len(set().union(*named))
    with (locks.ROOT / "pyproject.toml").open("rb") as file:
        asked = tomllib.load(file)["project"]["optional-dependencies"][locks.STUDIO_EXTRA]
    assert {canonicalize_name(Requirement(line).name) for line in asked} <= named[2]


def test_all_that_ray_needs_is_hashed() -> None:
    try:
        needs = [Requirement(line) for line in distribution("ray").requires or []]
    except PackageNotFoundError:
        pytest.skip("Ray is not installed (extra studio)")
    hashed = {pin.name: Version(pin.version) for path in HASHED for pin in pins(path) if pin.holds_here}
    for need in needs:
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            assert hashed[canonicalize_name(need.name)] in need.specifier, need


def test_nothing_that_a_bridge_needs_is_left_out() -> None:
    hashed = {pin.name for path in (BRIDGE, TORCH) for pin in pins(path) if pin.holds_here}
    needed = {part.name for part in inventory.parts() if part.kind == "pypi"}
    assert needed <= hashed
    with (locks.ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)["project"]
    asked = [
        *project["dependencies"],
        *(line for some in project["optional-dependencies"].values() for line in some),
    ]
    pinned = {pin.name: Version(pin.version) for pin in pins(CONSTRAINTS) if pin.holds_here}
    for line in asked:
        need = Requirement(line)
        if need.name != inventory.PRODUCT:
            assert pinned[canonicalize_name(need.name)] in need.specifier, line


def test_the_sbom_tells_the_versions_that_are_pinned() -> None:
    pinned = {pin.name: pin.version for pin in pins(CONSTRAINTS) if pin.holds_here}
    for part in inventory.parts():
        if part.kind == "pypi":
            # A build of the same sources, as torch's for processors only, has a local label: 2.13.0+cpu.
            assert Version(part.version).public == pinned[part.name], part.name


def test_pins_are_read_with_all_their_hashes(tmp_path: Path) -> None:
    path = tmp_path / "hashed.txt"
    one, two = "0" * 64, "f" * 64
    path.write_text(
        "# words\n"
        f"Some.Thing==1.0 ; python_version >= '3' \\\n    --hash=sha256:{one} \\\n    --hash=sha256:{two}\n"
        f"# more words\nother==2 ; python_version < '3' \\\n    --hash=sha256:{two}\nbare==3\n"
    )
    read = list(pins(path))
    assert [(pin.name, pin.version, pin.hashes) for pin in read] == [
        ("some-thing", "1.0", (one, two)),
        ("other", "2", (two,)),
        ("bare", "3", ()),
    ]
    assert [pin.holds_here for pin in read] == [True, False, True]


@pytest.mark.parametrize("line", ["tiny>=1", "tiny==1.*", "tiny"])
def test_a_line_that_is_not_one_version_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "loose.txt"
    path.write_text(line + "\n")
    with pytest.raises(ValueError, match=r"exact|unpack"):
        list(pins(path))
