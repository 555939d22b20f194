from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.atomic import private_folder, write_file
from bridge.errors import OutputError

posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix_only
@pytest.mark.parametrize("before", [0o755, 0o777, 0o750, 0o707, 0o700])
def test_a_folder_that_was_open_to_others_is_closed_to_them(tmp_path: Path, before: int) -> None:
    folder = tmp_path / "gpen-enhance"
    folder.mkdir()
    (folder / "kept").write_text("x")
    folder.chmod(before)
    private_folder(folder)
    assert mode(folder) == 0o700
    assert (folder / "kept").read_text() == "x"


@posix_only
def test_a_new_folder_is_the_owners(tmp_path: Path) -> None:
    private_folder(tmp_path / "new" / "deep")
    assert mode(tmp_path / "new" / "deep") == 0o700


@posix_only
def test_a_folder_of_somebody_else_is_used_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    private_folder(tmp_path)
    assert mode(tmp_path) == 0o755


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file"):
        private_folder(tmp_path / "file" / "folder")


def test_a_file_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "bridge.json"
    write_file(target, b"before", private=True)
    if os.name != "nt":
        assert mode(target) == 0o600

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_file(target, b"after", private=True)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("windows", [True, False])
def test_a_file_that_another_program_has_open_on_windows_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, windows: bool
) -> None:
    tries: list[Path] = []
    real = Path.replace

    def busy(path: Path, target: Path) -> Path:
        tries.append(path)
        if len(tries) < 4:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", busy)
    monkeypatch.setattr("bridge.atomic._OPEN_FILES_STAY", windows)
    target = tmp_path / "clients.json"
    if windows:
        write_file(target, b"here")
        assert (len(tries), target.read_bytes()) == (4, b"here")
    else:
        with pytest.raises(OutputError, match="cannot access"):
            write_file(target, b"here")
        assert len(tries) == 1
    assert [path for path in tmp_path.iterdir() if path != target] == []


def test_a_file_that_stays_open_is_told_after_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def busy(_: Path, __: Path) -> Path:
        raise PermissionError(errno.EACCES, "The process cannot access the file")

    monkeypatch.setattr(Path, "replace", busy)
    monkeypatch.setattr("bridge.atomic._OPEN_FILES_STAY", True)
    monkeypatch.setattr("time.sleep", pauses.append)
    with pytest.raises(OutputError, match="cannot access"):
        write_file(tmp_path / "clients.json", b"here")
    assert 0.9 < sum(pauses) < 1.5
    assert list(tmp_path.iterdir()) == []


@posix_only
def test_a_file_system_that_syncs_no_folders_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fails(number: int) -> Callable[[int], None]:
        def fsync(handle: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(number, os.strerror(number))
            real(handle)

        return fsync

    monkeypatch.setattr(os, "fsync", fails(errno.EINVAL))
    write_file(tmp_path / "a.txt", b"here")
    assert (tmp_path / "a.txt").read_bytes() == b"here"
    monkeypatch.setattr(os, "fsync", fails(errno.EIO))
    with pytest.raises(OutputError):
        write_file(tmp_path / "b.txt", b"lost")
