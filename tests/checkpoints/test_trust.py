from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.checkpoints import manifest
from bridge.checkpoints.trust import Record, Stamp, Trust, TrustFile
from bridge.config import bundled
from bridge.errors import CheckpointError, OutputError, TrustUnreadable

ENTRIES = {entry.name: entry for entry in manifest.read(bundled("weights") / "manifest.toml")}
OFFICIAL, LITE = ENTRIES["gpen-bfr-512"], ENTRIES["gpen-lite-256"]
STAMP = Stamp("my file (1).pth", 3, "0" * 64)


def test_what_was_never_written_is_nothing(tmp_path: Path) -> None:
    assert TrustFile(tmp_path / "weights").read() == Trust()
    assert not (tmp_path / "weights").exists()


def test_consents_and_records_come_back(tmp_path: Path) -> None:
    file = TrustFile(tmp_path / "weights")
    own = Record(published=STAMP, stored=replace(STAMP, file="own.safetensors"), own=OFFICIAL)
    file.update(lambda trust: trust.accepting(OFFICIAL))
    changed = file.update(lambda trust: trust.recording("own", own))
    assert TrustFile(tmp_path / "weights").read() == changed
    assert changed.records == {"own": own}
    assert changed.has_accepted(OFFICIAL)


def test_terms_are_accepted_for_one_checkpoint_and_one_text() -> None:
    trust = Trust().accepting(OFFICIAL)
    assert trust.has_accepted(OFFICIAL)
    assert not trust.has_accepted(ENTRIES["gpen-bfr-256"])
    reworded = replace(OFFICIAL, licence=replace(OFFICIAL.licence, terms="Pay us."))
    assert not trust.has_accepted(reworded)


def test_free_weights_need_no_consent() -> None:
    assert Trust().has_accepted(LITE)


def test_changes_from_many_threads_are_all_kept(tmp_path: Path) -> None:
    def add(number: int) -> None:
        record = Record(None, STAMP)
        TrustFile(tmp_path).update(lambda trust: trust.recording(f"own-{number}", record))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(24)))
    assert len(TrustFile(tmp_path).read().records) == 24


def test_changes_through_one_object_are_all_kept_too(tmp_path: Path) -> None:
    file = TrustFile(tmp_path)  # as in a bridge, whose threads share it

    def add(number: int) -> None:
        def slowly(trust: Trust) -> Trust:
            time.sleep(0.01)
            return trust.recording(f"own-{number}", Record(None, STAMP))

        file.update(slowly)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(12)))
    assert len(file.read().records) == 12


def test_the_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def sync(handle: int) -> None:
        done.append("flushed")
        real_sync(handle)

    def rename(path: Path, target: Path) -> Path:
        done.append("named")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", rename)
    TrustFile(tmp_path).update(lambda trust: trust.accepting(OFFICIAL))
    assert done[:2] == ["flushed", "named"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"records": {"a": 1}}', b"\xff", b'{"other": 1}'])
def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trusted.json"
    path.write_bytes(content)
    file = TrustFile(tmp_path)
    for access in (file.read, lambda: file.update(lambda trust: trust.accepting(OFFICIAL))):
        with pytest.raises(CheckpointError, match=r"trusted\.json is damaged"):
            access()
    assert path.read_bytes() == content


def test_a_file_that_another_program_holds_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = TrustFile(tmp_path)
    file.update(lambda trust: trust.accepting(OFFICIAL))

    def held(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", held)
        with pytest.raises(TrustUnreadable, match="Permission denied") as caught:
            file.read()
    assert caught.value.retryable
    assert file.read().consents


def test_a_change_that_fails_changes_nothing(tmp_path: Path) -> None:
    file = TrustFile(tmp_path)
    before = file.update(lambda trust: trust.accepting(OFFICIAL))

    def fails(trust: Trust) -> Trust:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        file.update(fails)
    assert file.read() == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        TrustFile(tmp_path / "weights").update(lambda trust: trust.accepting(OFFICIAL))
