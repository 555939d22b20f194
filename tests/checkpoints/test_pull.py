"""`Checkpoints.pull`: from an address to an installed checkpoint, against a real HTTP server on loopback."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.checkpoints import Progress
from bridge.errors import (
    CheckpointError,
    CheckpointHashMismatch,
    CheckpointNotInstalled,
    DownloadFailed,
    LicenceNotAccepted,
)
from tests.checkpoints.house import House, entry, pth, sha256
from tests.checkpoints.mirror import Mirror


def published(house: House, mirror: Mirror, seed: int = 0) -> tuple[Path, str]:
    path = pth(house.desk / "published.pth", seed=seed)
    return path, mirror.serve("/official.pth", content=path.read_bytes())


def test_pulling_downloads_checks_and_converts(house: House, mirror: Mirror) -> None:
    path, source = published(house, mirror)
    known = entry("official", 16, bytes=path.stat().st_size, sha256=sha256(path), sources=[source])
    checkpoints = house.checkpoints(known)
    with pytest.raises(LicenceNotAccepted, match="Ask first"):
        checkpoints.pull("official")
    assert mirror.files["/official.pth"].asked == []
    heard: list[Progress] = []
    checkpoints.pull("official", accept_licence=True, on_progress=heard.append)
    assert heard[-1].done == path.stat().st_size
    assert house.kept() == ["official.safetensors"]
    assert checkpoints.verify("official").entry.sha256 == sha256(path)
    assert checkpoints.open("official").size == 16
    checkpoints.pull("official")
    assert len(mirror.files["/official.pth"].asked) == 1


def test_a_pull_survives_bad_mirrors_and_cuts(house: House, mirror: Mirror) -> None:
    path, _ = published(house, mirror)
    content = path.read_bytes()
    sources = [
        mirror.serve("/forbidden.pth", status=403),
        mirror.serve("/wrong.pth", content=bytes(len(content))),
        mirror.serve("/good.pth", content=content, cut_after=[1000]),
    ]
    known = entry("official", 16, bytes=len(content), sha256=sha256(path), sources=sources)
    checkpoints = house.checkpoints(known)
    checkpoints.pull("official", accept_licence=True)
    assert checkpoints.verify("official").entry.sha256 == sha256(path)


def test_a_file_of_unknown_hash_is_remembered_and_held_to_it(house: House, mirror: Mirror) -> None:
    path, source = published(house, mirror)
    checkpoints = house.checkpoints(entry("official", 16, sources=[source]))
    checkpoints.pull("official", accept_licence=True)
    verified = checkpoints.verify("official")
    assert verified.first_use
    assert verified.entry.sha256 == sha256(path)
    (house.user / "official.safetensors").unlink()
    published(house, mirror, seed=1)
    with pytest.raises(CheckpointHashMismatch):
        checkpoints.pull("official")
    assert house.kept() == []


def test_a_failed_pull_tells_what_to_do_without_internet(house: House, mirror: Mirror) -> None:
    source = mirror.serve("/official.pth", status=404)
    checkpoints = house.checkpoints(entry("official", 16, sources=[source]))
    with pytest.raises(DownloadFailed, match="404") as caught:
        checkpoints.pull("official", accept_licence=True)
    assert source in caught.value.hint
    assert "weights import official.pth" in caught.value.hint


def test_a_web_page_instead_of_the_file_is_not_kept(house: House, mirror: Mirror) -> None:
    source = mirror.serve("/official.pth", content=b"<html>Please sign in</html>")
    checkpoints = house.checkpoints(entry("official", 16, sources=[source]))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        checkpoints.pull("official", accept_licence=True)
    assert house.kept() == []
    path, _ = published(house, mirror)
    checkpoints.pull("official")
    assert checkpoints.verify("official").entry.sha256 == sha256(path)


def test_a_checkpoint_without_sources_cannot_be_pulled(house: House) -> None:
    checkpoints = house.checkpoints(house.lite(), entry("private", 16))
    assert checkpoints.pull("lite").name == "lite"
    with pytest.raises(CheckpointNotInstalled):
        checkpoints.pull("private")


def test_a_damaged_installation_is_not_taken_for_a_good_one(house: House, mirror: Mirror) -> None:
    _, source = published(house, mirror)
    checkpoints = house.checkpoints(entry("official", 16, sources=[source]))
    checkpoints.pull("official", accept_licence=True)
    (house.user / "official.safetensors").write_bytes(b"damaged")
    checkpoints.pull("official")
    assert checkpoints.open("official").size == 16
