from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import DiskFull, OutputError
from bridge.jobs.chain import NO_LINE, Chain, newest, verify

ANNA = {
    "file": "anna.tif",
    "preset": "dslr",
    "found": 2,
    "seconds": {"decode": 0.31, "restore": 1.9},
    "outcome": "done",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


def _lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.iterdir()) for line in file.read_bytes().splitlines()]


def _written(folder: Path, count: int, **options: Any) -> Chain:
    chain = Chain(folder, **options)
    for number in range(count):
        chain.append(ANNA | {"item": number})
    return chain


def test_a_line_has_the_facts_and_its_links(folder: Path) -> None:
    Chain(folder).append(ANNA)
    (line,) = _lines(folder)
    assert len(line.pop("sha256")) == 64
    assert line == {"number": 1, "before": NO_LINE, **ANNA}


def test_an_empty_log_holds(folder: Path) -> None:
    found = verify(folder)
    assert (found.first, found.lines, found.head, found.broken) == (1, 0, NO_LINE, None)


def test_the_chain_goes_on_across_files_and_restarts(folder: Path) -> None:
    for start in range(3):
        chain = Chain(folder, max_file_bytes=1000)
        for number in range(7):
            chain.append(ANNA | {"item": 10 * start + number})
    files = sorted(folder.iterdir())
    assert len(files) > 3
    assert all(file.stat().st_size <= 1000 for file in files)
    lines = _lines(folder)
    assert [line["number"] for line in lines] == list(range(1, 22))
    assert [line["before"] for line in lines] == [NO_LINE, *(line["sha256"] for line in lines[:-1])]
    found = verify(folder)
    assert (found.lines, found.head, found.torn, found.broken) == (21, lines[-1]["sha256"], 0, None)


def _sealed(body: bytes) -> bytes:
    """A line whose own SHA-256 fits, as anybody can make one."""
    return body + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


@pytest.mark.parametrize(
    "body",
    [
        b'{"x":1',
        b'{"number":2',
        b'{"before":"0"',
        b'{"number":"2","before":"0"',
        b'{"number":true,"before":"0"',
        b'{"number":0,"before":"0"',
        b'{"number":-3,"before":"0"',
        b'{"number":2,"before":null',
        b'{"number":2.0,"before":"0"',
        b'{"number":' + b"9" * 5000 + b',"before":"0"',
        b'{"number":2,"before":"0","x":' + b"[" * 200_000,
        b'{"number":2,"before":"\xff"',
        b"{not JSON",
    ],
    ids=lambda body: str(body[:40]),
)
def test_a_line_without_links_is_not_of_the_chain(folder: Path, body: bytes) -> None:
    _written(folder, 3)
    (file,) = folder.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], _sealed(body), lines[2]]))
    broken = verify(folder).broken
    assert broken is not None
    assert broken.line == 2
    assert [line["number"] for line in newest(folder, 10)] == [1, 3]

    file.write_bytes(b"".join([*lines[:2], _sealed(body)]))
    Chain(folder).append(ANNA)
    found = verify(folder)
    assert (found.lines, found.torn, found.broken) == (3, 1, None)


def test_the_newest_lines_can_be_read_back(folder: Path) -> None:
    _written(folder, 12, max_file_bytes=1000)
    (folder / "audit-000099.jsonl").write_bytes(b"torn")
    assert [line["item"] for line in newest(folder, 4)][-4:] == [8, 9, 10, 11]
    assert len(newest(folder, 4)) < 12
    assert len(newest(folder, 400)) == 12


def test_old_files_that_were_moved_away_are_told(folder: Path) -> None:
    _written(folder, 12, max_file_bytes=1000)
    oldest, *_ = sorted(folder.iterdir())
    gone = len(oldest.read_bytes().splitlines())
    oldest.unlink()
    found = verify(folder)
    assert (found.first, found.lines, found.broken) == (gone + 1, 12 - gone, None)


def test_a_file_that_is_missing_in_the_middle_is_found(folder: Path) -> None:
    _written(folder, 12, max_file_bytes=1000)
    files = sorted(folder.iterdir())
    files[1].unlink()
    broken = verify(folder).broken
    assert broken is not None
    assert (broken.file, broken.line) == (files[2], 1)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of three files in which one write was cut short."""
    folder = tmp_path_factory.mktemp("log") / "audit"
    _written(folder, 3, max_file_bytes=800)
    last = max(folder.iterdir())
    os.truncate(last, last.stat().st_size - 40)
    _written(folder, 3, max_file_bytes=800)
    found = verify(folder)
    assert (found.lines, found.torn, found.broken) == (5, 1, None)
    assert len(list(folder.iterdir())) >= 3
    return folder


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_any_byte_is_found(log: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(log, folder)
    file = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(file.read_bytes())
    where = data.draw(st.integers(0, len(content) - 1))
    content[where] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    broken = verify(folder).broken
    assert broken is not None
    assert broken.file.name >= file.name  # at the byte, or where the chain finds it missing


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_lines_removed_swapped_or_added_are_found(log: Path, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    lines = [line for file in sorted(log.iterdir()) for line in file.read_bytes().splitlines(keepends=True)]
    last = len(lines) - 1
    match data.draw(st.sampled_from(["remove", "swap", "repeat"])):
        case "remove":  # the first ones may be archived, the last ones nobody can miss without `head`
            del lines[data.draw(st.integers(1, last - 1))]
        case "swap":
            one = data.draw(st.integers(0, last - 1))
            lines[one], lines[one + 1] = lines[one + 1], lines[one]
        case "repeat":
            one = data.draw(st.integers(0, last))
            lines.insert(data.draw(st.integers(one + 1, last + 1)), lines[one])
    (folder / "audit-000001.jsonl").write_bytes(b"".join(lines))
    assert verify(folder).broken is not None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(2, 500), filler=st.sampled_from([b"", b"\0" * 30, b"\0\n"]))
def test_a_write_that_was_cut_short_is_put_on_record(tmp_path: Path, cut: int, filler: bytes) -> None:
    folder = tmp_path / "torn"
    shutil.rmtree(folder, ignore_errors=True)
    _written(folder, 2)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    second = whole.index(b"\n") + 1
    file.write_bytes(whole[: max(second + 1, len(whole) - cut)] + filler)
    torn = file.read_bytes()

    found = verify(folder)
    assert (found.lines, found.broken and found.broken.line) == (1, 2)
    _written(folder, 2)
    assert file.read_bytes().startswith(torn)
    found = verify(folder)
    assert (found.lines, found.torn, found.broken) == (3, 1, None)


def test_a_line_that_lacks_only_its_end_counts(folder: Path) -> None:
    _written(folder, 2)
    (file,) = folder.iterdir()
    os.truncate(file, file.stat().st_size - 1)
    assert verify(folder).broken is None
    _written(folder, 1)
    found = verify(folder)
    assert (found.lines, found.torn, found.broken) == (3, 0, None)


def test_a_full_disk_is_told_and_the_log_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = _written(folder, 1)
    real = os.fsync

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="No space left"):
        chain.append(ANNA)
    monkeypatch.setattr(os, "fsync", real)
    chain.append(ANNA)
    assert verify(folder).broken is None


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "audit-000001.jsonl").mkdir()
    with pytest.raises(OutputError, match="could not be read"):
        verify(tmp_path)


def test_many_threads_make_one_chain(folder: Path) -> None:
    chain = Chain(folder, max_file_bytes=4000)
    threads = [
        threading.Thread(target=lambda: [chain.append(ANNA) for _ in range(20)], daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify(folder)
    assert (found.lines, found.torn, found.broken) == (80, 0, None)


def test_a_name_that_is_not_unicode_stays_json(folder: Path) -> None:
    Chain(folder).append({"file": "\udcff\u2028王\n.tif"})
    (line,) = [json.loads(line) for line in next(folder.iterdir()).read_bytes().split(b"\n") if line]
    assert line["file"] == "\udcff\u2028王\n.tif"
    assert verify(folder).broken is None


@pytest.mark.skipif(sys.platform == "win32", reason="modes mean nothing there")
def test_it_is_for_the_owner_only(folder: Path) -> None:
    Chain(folder).append(ANNA)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(next(folder.iterdir()).stat().st_mode) == 0o600
