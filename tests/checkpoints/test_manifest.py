from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bridge.checkpoints import Checkpoints, manifest
from bridge.config import bundled
from bridge.errors import CheckpointError

LICENCE = """
[licences.free]
title = "Free"
terms = "Do as you like."
consent = false
commercial = true
"""
ENTRY = """
[[checkpoint]]
name = "tiny"
title = "Tiny"
summary = "Small."
files = ["tiny.pth"]
licence = "free"
side = 16
template = "gpen"
crop_border = "black"
face_share = 0.5
"""


@pytest.fixture
def shipped() -> tuple[manifest.Entry, ...]:
    return manifest.read(bundled("weights") / "manifest.toml")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "manifest.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_manifest_knows_the_family(shipped: tuple[manifest.Entry, ...]) -> None:
    sides = {entry.name: entry.side for entry in shipped}
    for side in (256, 512, 1024, 2048):
        assert sides[f"gpen-bfr-{side}"] == sides[f"gpen-bfr-{side}-onnx"] == side


def test_only_our_own_weights_are_bundled_and_free_for_paid_work(shipped: tuple[manifest.Entry, ...]) -> None:
    for entry in shipped:
        ours = entry.name.startswith("gpen-lite")
        assert entry.bundled is ours
        assert entry.licence.commercial is ours
        assert entry.licence.consent is not ours
        assert bool(entry.sources) is not ours


def test_what_is_bundled_is_what_the_manifest_says_and_has_a_model_card(
    shipped: tuple[manifest.Entry, ...], tmp_path: Path
) -> None:
    library = Checkpoints(bundled("weights"), tmp_path)
    lying_here = [entry for entry in library.installed() if entry.bundled]
    if not lying_here:
        pytest.skip("no checkpoint lies in weights/")
    for entry in lying_here:
        verified = library.verify(entry.name)
        assert not verified.first_use, "its size and SHA-256 belong into the manifest"
        assert verified.path.with_suffix(".md").is_file()


def test_every_source_is_https_and_ends_in_a_file_of_the_entry(shipped: tuple[manifest.Entry, ...]) -> None:
    for entry in shipped:
        for source in entry.sources:
            parts = urlsplit(source)
            assert parts.scheme == "https"
            assert parts.path.rsplit("/", 1)[1] in entry.files


def test_each_kind_of_weights_has_its_alignment(shipped: tuple[manifest.Entry, ...]) -> None:
    forms = {entry.name: (entry.template, entry.crop_border, entry.output) for entry in shipped}
    assert forms["gpen-bfr-512"] == ("gpen", "black", "absolute")
    assert forms["gpen-bfr-512-onnx"] == ("ffhq_512", "replicate", "absolute")
    assert forms["gpen-bfr-256-onnx"] == ("arcface_128", "replicate", "absolute")
    assert forms["gpen-lite-256"][0] == "ffhq_512"
    assert forms["gpen-lite-256"][2] == "residual"


def test_a_face_needs_a_crop_in_which_it_has_its_share(tmp_path: Path) -> None:
    (entry,) = manifest.read(written(tmp_path, LICENCE + ENTRY))
    assert entry.side_needed(100) == 200


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[", "key part"),
        (LICENCE + ENTRY + ENTRY, "tiny twice"),
        (ENTRY, "licence"),
        (LICENCE + ENTRY.replace('"free"', "3"), "licence"),
        (LICENCE.replace("commercial = true", "") + ENTRY, "commercial"),
        (LICENCE + ENTRY + 'sha256 = "abc"', "sha256"),
        (LICENCE + ENTRY + "colour = 1", "colour"),
        (LICENCE + ENTRY.replace('"gpen"', '"unheard of"'), "template"),
        (LICENCE + ENTRY.replace("tiny.pth", "../tiny.pth"), "files"),
        (LICENCE + ENTRY.replace('["tiny.pth"]', "[]"), "files"),
        (LICENCE + ENTRY.replace('name = "tiny"', 'name = "../tiny"'), "name"),
        (LICENCE + ENTRY.replace("side = 16", "side = 8"), "side"),
    ],
)
def test_a_malformed_manifest_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(CheckpointError, match=complaint):
        manifest.read(written(tmp_path, text))


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a valid manifest"):
        manifest.read(tmp_path / "manifest.toml")
