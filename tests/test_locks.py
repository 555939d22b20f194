from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from bridge.errors import OutputError
from bridge.locks import held


def test_threads_of_one_process_keep_each_other_out(tmp_path: Path) -> None:
    path, most, inside = tmp_path / "a.lock", 0, 0
    count = threading.Lock()

    def work() -> None:
        nonlocal most, inside
        for _ in range(5):
            with held(path):
                with count:
                    inside += 1
                    most = max(most, inside)
                with count:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_who_only_tries_is_told_at_once(tmp_path: Path) -> None:
    with held(tmp_path / "a.lock"), pytest.raises(Timeout), held(tmp_path / "a.lock", seconds=0):
        pass
    with held(tmp_path / "a.lock", seconds=0):
        pass


@pytest.mark.parametrize(
    "reason",
    [
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.EROFS, "Read-only file system"),
        NotImplementedError("FileSystem does not appear to support flock"),
    ],
)
def test_a_file_that_cannot_be_locked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: Exception
) -> None:
    def refuse(_: FileLock) -> None:
        raise reason

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with (
        pytest.raises(OutputError, match=r"a\.lock cannot be locked: \w") as failure,
        held(tmp_path / "a.lock"),
    ):
        pass
    assert "who owns" in failure.value.hint


def test_what_the_block_raises_is_its_own(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), held(tmp_path / "a.lock"):
        raise PermissionError
    with held(tmp_path / "a.lock", seconds=0):
        pass
