from __future__ import annotations

import email.message
import json
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cyclonedx", reason="the release extra is not installed")

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from bridge.network.digest import file_sha256
from release import __main__ as command
from release import inventory, packages
from release.inventory import Part, licence_of
from release.locks import ROOT


@pytest.fixture(scope="module")
def found() -> list[Part]:
    return inventory.parts()


def test_every_part_has_a_licence_that_a_studio_can_take(found: list[Part]) -> None:
    assert [(part.name, part.licence) for part in found if not part.allowed] == []


def test_it_names_what_runs_and_none_of_our_tools(found: list[Part]) -> None:
    names = {part.name for part in found}
    assert {"aiohttp", "yarl", "torch", "onnxruntime", "ncnn", "preact", "htm", "gpen-lite-256"} <= names
    assert names.isdisjoint({"pytest", "ruff", "hypothesis", "playwright", "uv", inventory.PRODUCT})


def test_the_sbom_is_sound_whole_and_always_the_same(
    found: list[Part], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    told = inventory.sbom(inventory.product(), found)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(told) is None
    assert inventory.sbom(inventory.product(), found) == told
    read = json.loads(told)
    assert len(read["components"]) == len(found)
    known = {component["bom-ref"] for component in read["components"]}
    graph = {entry["ref"]: set(entry.get("dependsOn", [])) for entry in read["dependencies"]}
    assert graph[f"pypi:{inventory.PRODUCT}"] == known
    assert "pypi:yarl" in graph["pypi:aiohttp"]
    hashes = {part["name"]: part["hashes"][0]["content"] for part in read["components"] if "hashes" in part}
    assert hashes["preact"] == file_sha256(ROOT / "bridge/console/vendor/preact.js")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated = json.loads(inventory.sbom(inventory.product(), found))
    assert dated["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"


class Package(Distribution):
    def __init__(self, **said: str) -> None:
        self._said = email.message.Message()
        for name, value in said.items():
            self._said[name.replace("_", "-")] = value

    @property
    def metadata(self) -> Any:
        return self._said

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: Any) -> Path:
        return Path(path)


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ({"License_Expression": "MIT OR GPL-3.0-only", "License": "nonsense"}, "MIT OR GPL-3.0-only"),
        ({"License": "BSD-3"}, "BSD-3-Clause"),
        (
            {
                "License": "a whole text\nof many lines",
                "Classifier": "License :: OSI Approved :: MIT License",
            },
            "MIT",
        ),
        ({"License": "see the file"}, ""),
        ({}, ""),
    ],
)
def test_what_a_package_says_is_read(said: dict[str, str], expression: str) -> None:
    assert licence_of(Package(**said)) == expression


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("", False),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("Apache-2.0 WITH LLVM-exception AND BSD-2-Clause", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("(GPL-2.0-only OR MIT) AND (Zlib OR AGPL-3.0-only)", True),
    ],
)
def test_one_licence_of_a_choice_is_enough_and_all_of_a_sum_are_needed(licence: str, allowed: bool) -> None:
    assert Part("some", "1", licence).allowed is allowed


def test_a_part_that_may_not_be_used_ends_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(_: Path, to: Path) -> list[Path]:
        to.mkdir(exist_ok=True)
        (to / "the.whl").write_bytes(b"a wheel")
        return [to / "the.whl"]

    monkeypatch.setattr(packages, "build", build)
    parts = [Part("fine", "1", "MIT")]
    monkeypatch.setattr(inventory, "parts", lambda: parts)
    assert command.make(tmp_path) == 0
    names = {"the.whl", "sbom.cdx.json", "licences.md"}
    assert {path.name for path in tmp_path.iterdir()} == {*names, packages.CHECKSUMS}
    listed = (tmp_path / packages.CHECKSUMS).read_text()
    assert {line.split()[1] for line in listed.splitlines()} == names
    parts.append(Part("sticky", "2", "AGPL-3.0-only"))
    capsys.readouterr()
    assert command.make(tmp_path) == 1
    assert "sticky 2 may not be used: AGPL-3.0-only." in capsys.readouterr().out
    assert not (tmp_path / packages.CHECKSUMS).exists()
