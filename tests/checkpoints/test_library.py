from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bridge.errors import (
    CheckpointError,
    CheckpointForeign,
    CheckpointHashMismatch,
    CheckpointNotInstalled,
    CheckpointTruncated,
    CheckpointUnknown,
    CheckpointUnsafe,
    InvalidRequest,
    LicenceNotAccepted,
    OutputError,
)
from bridge.network import checkpoint
from tests.checkpoints.house import House, entry, pth, sha256, weights

ROOT = Path(__file__).parents[2]


def names(entries: list[object]) -> list[str]:
    return [entry.name for entry in entries]  # type: ignore[attr-defined]  # Entry


# --- what is known and installed -----------------------------------------------------------


def test_a_fresh_installation_has_what_is_bundled(house: House) -> None:
    checkpoints = house.checkpoints(house.lite(), entry("official", 16))
    assert names(checkpoints.entries()) == ["lite", "official"]
    assert names(checkpoints.installed()) == ["lite"]
    assert checkpoints.open("lite").size == 16
    assert not house.user.exists()


def test_a_bundled_file_that_is_missing_is_not_installed(house: House) -> None:
    checkpoints = house.checkpoints(house.lite())
    (house.bundled / "lite.safetensors").unlink()
    assert checkpoints.installed() == []
    with pytest.raises(CheckpointNotInstalled, match="should have come with the product"):
        checkpoints.open("lite")
    with pytest.raises(CheckpointNotInstalled, match="No checkpoint is installed"):
        checkpoints.pick("auto", 100)


def test_a_bundled_file_without_a_published_hash_is_trusted_on_first_use(house: House) -> None:
    path = house.bundled / "lite.safetensors"
    checkpoint.save(weights(16), path, {})
    checkpoints = house.checkpoints(entry("lite", 16, "free", files=[path.name], bundled=True))
    assert checkpoints.entry("lite").sha256 is None
    verified = checkpoints.verify("lite")
    assert verified.first_use
    assert verified.entry.sha256 == sha256(path)
    checkpoint.save(weights(16, seed=1), path, {})
    with pytest.raises(CheckpointHashMismatch):
        checkpoints.open("lite")


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda content: content[:-1], CheckpointTruncated),
        (lambda content: content + b"?", CheckpointTruncated),
        (lambda content: content[:-1] + b"?", CheckpointHashMismatch),
        (lambda content: b"", CheckpointTruncated),
    ],
)
def test_a_bundled_file_that_is_not_the_manifests_is_never_opened(
    house: House, damage: Callable[[bytes], bytes], error: type[CheckpointError]
) -> None:
    checkpoints = house.checkpoints(house.lite())
    path = house.bundled / "lite.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    for call in (checkpoints.open, checkpoints.verify):
        with pytest.raises(error):
            call("lite")
    assert not house.user.exists()  # and nothing is learnt from it


def test_unknown_names_are_told(house: House) -> None:
    checkpoints = house.checkpoints(house.lite())
    for call in (checkpoints.entry, checkpoints.open, checkpoints.verify, checkpoints.pull):
        with pytest.raises(CheckpointUnknown, match="`nobody`"):
            call("nobody")
    with pytest.raises(CheckpointUnknown):
        checkpoints.pick("nobody", 100)


def test_listing_does_not_load_torch(house: House) -> None:
    house.checkpoints(house.lite())
    script = """
import sys
from pathlib import Path
from bridge.checkpoints import Checkpoints
print(len(Checkpoints(Path(sys.argv[1]), Path(sys.argv[2])).installed()), "torch" in sys.modules)
"""
    command = [sys.executable, "-c", script, str(house.bundled), str(house.user)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603 our own script
    assert told.split() == ["1", "False"]


# --- auto ------------------------------------------------------------------------------------


def test_auto_takes_the_smallest_network_that_holds_the_face(house: House) -> None:
    checkpoints = house.checkpoints(*(entry(f"o-{side}", side) for side in (64, 16, 32)))
    for side in (64, 16, 32):
        checkpoints.import_file(pth(house.desk / f"o-{side}.pth", side), accept_licence=True)
    picked = {size: checkpoints.pick("auto", size).name for size in (1, 8, 8.5, 16, 17, 32, 500)}
    assert picked == {1: "o-16", 8: "o-16", 8.5: "o-32", 16: "o-32", 17: "o-64", 32: "o-64", 500: "o-64"}


def test_auto_prefers_what_the_user_installed(house: House) -> None:
    checkpoints = house.checkpoints(house.lite(64), entry("official", 16))
    assert checkpoints.pick("auto", 32).name == "lite"
    checkpoints.import_file(pth(house.desk / "official.pth"), accept_licence=True)
    assert checkpoints.pick("auto", 32).name == "official"
    assert checkpoints.pick("lite", 32).name == "lite"


def test_of_one_side_auto_takes_the_first_of_the_manifest(house: House) -> None:
    checkpoints = house.checkpoints(entry("b", 16), entry("a", 16))
    for name in "ab":
        checkpoints.import_file(pth(house.desk / f"{name}.pth", seed=ord(name)), accept_licence=True)
    assert checkpoints.pick("auto", 1).name == checkpoints.pick("auto", 1000).name == "b"


def test_a_name_that_is_not_installed_is_not_replaced_by_another(house: House) -> None:
    checkpoints = house.checkpoints(house.lite(), entry("official", 16))
    with pytest.raises(CheckpointNotInstalled, match="official is not installed"):
        checkpoints.pick("official", 100)


# --- import ----------------------------------------------------------------------------------


def test_an_official_file_is_recognised_by_its_hash_whatever_its_name(house: House) -> None:
    path = pth(house.desk / "Downloaded (1).pth")
    known = entry("official", 16, bytes=path.stat().st_size, sha256=sha256(path))
    checkpoints = house.checkpoints(known)
    assert checkpoints.recognise(path).name == "official"
    assert checkpoints.import_file(path, accept_licence=True).name == "official"
    verified = checkpoints.verify("official")
    assert verified.entry.sha256 == sha256(path)
    assert verified.path.name == "official.safetensors"
    assert not verified.first_use
    assert path.exists()
    expected = weights(16)
    stored = checkpoint.read_state_dict(verified.path)
    assert all(torch.equal(stored[key], expected[key]) for key in expected)


def test_importing_again_gives_the_same_bytes(house: House) -> None:
    checkpoints = house.checkpoints(entry("official", 16))
    path = pth(house.desk / "official.pth")
    checkpoints.import_file(path, accept_licence=True)
    before = checkpoints.verify("official")
    checkpoints.import_file(path)
    assert checkpoints.verify("official") == before
    assert house.kept() == ["official.safetensors"]


def test_the_terms_come_first_and_are_remembered(house: House) -> None:
    checkpoints = house.checkpoints(entry("official", 16))
    path = pth(house.desk / "official.pth")
    with pytest.raises(LicenceNotAccepted, match="Ask first"):
        checkpoints.import_file(path)
    assert not checkpoints.has_accepted("official")
    assert house.kept() == []
    checkpoints.import_file(path, accept_licence=True)
    assert checkpoints.has_accepted("official")
    (house.user / "official.safetensors").unlink()
    checkpoints.import_file(path)
    assert names(checkpoints.installed()) == ["official"]


def test_a_name_stands_for_the_bytes_of_its_first_use_even_after_they_are_gone(house: House) -> None:
    checkpoints = house.checkpoints(entry("official", 16))
    checkpoints.import_file(pth(house.desk / "official.pth"), accept_licence=True)
    (house.user / "official.safetensors").unlink()
    other = pth(house.desk / "official.pth", seed=1)
    with pytest.raises(CheckpointHashMismatch, match=sha256(other)):
        checkpoints.import_file(other, accept_licence=True)


def test_an_own_network_gets_a_name_and_is_driven_like_the_official_ones(house: House) -> None:
    checkpoints = house.checkpoints(house.lite())
    path = pth(house.desk / "My Net, épreuve 2.PTH", side=32)
    own = checkpoints.import_file(path, accept_licence=True)
    assert (own.name, own.side, own.template) == ("my-net-preuve-2", 32, "gpen")
    assert not own.licence.commercial
    assert names(checkpoints.entries()) == ["lite", "my-net-preuve-2"]
    assert checkpoints.open(own.name).size == 32
    assert checkpoints.recognise(path) == own
    assert checkpoints.import_file(pth(house.desk / "b.pth", seed=1), True, "second").name == "second"


def test_a_given_name_must_be_one_and_be_right(house: House) -> None:
    path = pth(house.desk / "file.pth")
    known = entry("official", 16, bytes=path.stat().st_size, sha256=sha256(path))
    checkpoints = house.checkpoints(known, house.lite())
    with pytest.raises(InvalidRequest, match="is official, not mine"):
        checkpoints.import_file(path, True, "mine")
    other = pth(house.desk / "other.pth", seed=1)
    for name in ("auto", "../x", "A b", "x" * 65):
        with pytest.raises(InvalidRequest, match="cannot be a name"):
            checkpoints.import_file(other, True, name)
    for name in ("official", "lite"):
        with pytest.raises(CheckpointHashMismatch) as caught:
            checkpoints.import_file(other, True, name)
        assert "another name" in caught.value.hint
    with pytest.raises(InvalidRequest, match="comes with the product"):
        checkpoints.import_file(house.bundled / "lite.safetensors", True)
    assert house.kept() == []


def test_a_shortened_official_file_is_called_truncated(house: House) -> None:
    path = pth(house.desk / "Official.pth")
    checkpoints = house.checkpoints(entry("official", 16, bytes=path.stat().st_size, sha256=sha256(path)))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointTruncated):
        checkpoints.import_file(path, accept_licence=True)


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def test_a_bad_file_is_named_and_changes_nothing(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = house.checkpoints(house.lite(), entry("official", 16))
    desk = house.desk
    (desk / "hostile.pth").write_bytes(pickle.dumps(Bomb()))
    (desk / "text.pth").write_text("<html>Not found</html>")
    (desk / "empty.pth").write_bytes(b"")
    cut = pth(desk / "cut.pth")
    cut.write_bytes(cut.read_bytes()[:-500])
    torch.save({"final_conv.0.weight": torch.zeros(1)}, desk / "discriminator.pth")
    bad = {
        "hostile.pth": CheckpointUnsafe,
        "text.pth": CheckpointError,
        "empty.pth": CheckpointTruncated,
        "cut.pth": CheckpointTruncated,
        "discriminator.pth": CheckpointForeign,
        "missing.pth": CheckpointError,
    }
    for name, failure in bad.items():
        for called in (None, "official"):
            with pytest.raises(failure):
                checkpoints.import_file(desk / name, True, called)
    assert "executed" not in capsys.readouterr().out
    assert house.kept() == []
    assert names(checkpoints.installed()) == ["lite"]


def test_a_network_of_another_size_is_not_the_official_one(house: House) -> None:
    checkpoints = house.checkpoints(
        entry("official", 16), entry("wide", 16, channel_multiplier=2.0, narrow=1.0)
    )
    with pytest.raises(CheckpointForeign, match="works at 32 pixels"):
        checkpoints.import_file(pth(house.desk / "official.pth", side=32), accept_licence=True)
    with pytest.raises(CheckpointForeign, match="other widths"):
        checkpoints.import_file(pth(house.desk / "wide.pth"), accept_licence=True)
    assert house.kept() == []


def test_an_onnx_file_must_be_known_by_its_hash(house: House) -> None:
    path = house.desk / "export.onnx"
    path.write_bytes(b"\x08\x08\x12\x04test" + bytes(100))
    known = entry("export", 16, files=[path.name], bytes=path.stat().st_size, sha256=sha256(path))
    checkpoints = house.checkpoints(known, entry("official", 16))
    checkpoints.import_file(path, accept_licence=True)
    assert house.kept() == ["export.onnx"]
    assert checkpoints.verify("export").sha256 == sha256(path)
    path.write_bytes(path.read_bytes() + b"?")
    for name in ("official", "mine"):
        with pytest.raises(CheckpointForeign):
            checkpoints.import_file(path, True, name)


def test_a_stored_file_that_changed_is_not_opened(house: House) -> None:
    checkpoints = house.checkpoints(entry("official", 16))
    checkpoints.import_file(pth(house.desk / "official.pth"), accept_licence=True)
    path = house.user / "official.safetensors"
    content = path.read_bytes()
    for changed, failure in (
        (content[:-4], CheckpointTruncated),
        (content[:-1] + bytes([content[-1] ^ 1]), CheckpointHashMismatch),
    ):
        path.write_bytes(changed)
        for call in (checkpoints.open, checkpoints.verify):
            with pytest.raises(failure):
                call("official")


def test_a_folder_that_cannot_be_written_is_named(house: House) -> None:
    checkpoints = house.checkpoints(entry("free", 16, "free"))
    house.user.write_text("a file where the folder should be")
    with pytest.raises((OutputError, CheckpointError)):
        checkpoints.import_file(pth(house.desk / "free.pth"))


def test_converting_writes_the_same_network_elsewhere(house: House) -> None:
    checkpoints = house.checkpoints(house.lite())
    made = house.desk / "made.safetensors"
    architecture = checkpoints.convert(pth(house.desk / "file.pth", side=32), made)
    assert architecture.size == 32
    assert checkpoint.kind_of(made) == "safetensors"
    with pytest.raises(OutputError):
        checkpoints.convert(house.desk / "file.pth", house.desk / "nowhere" / "made.safetensors")
    (house.desk / "text").write_text("no checkpoint")
    with pytest.raises(CheckpointError):
        checkpoints.convert(house.desk / "text", house.desk / "other.safetensors")
    assert not (house.desk / "other.safetensors").exists()
