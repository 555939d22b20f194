from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from bridge.checkpoints import download
from bridge.checkpoints.download import Progress, Wanted, fetch
from bridge.errors import CheckpointHashMismatch, DownloadFailed, OutputError
from tests.checkpoints.mirror import Mirror

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HTTP = ("http",)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CHUNK", 16 * 1024)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "weights" / "file.pth.part"


def get(
    part: Path, *sources: str, size: int | None = len(CONTENT), sha256: str | None = SHA256
) -> list[Progress]:
    heard: list[Progress] = []
    found = fetch(Wanted(sources, size, sha256), part, on_progress=heard.append, schemes=HTTP)
    assert part.read_bytes() == CONTENT
    assert found == SHA256
    return heard


def test_a_file_arrives_with_progress(mirror: Mirror, part: Path) -> None:
    source = mirror.serve("/file", content=CONTENT)
    heard = get(part, source)
    done = [progress.done for progress in heard]
    assert done == sorted(set(done))
    assert heard[-1] == Progress(len(CONTENT), len(CONTENT), source)


def test_a_file_of_unknown_size_and_hash_arrives_too(mirror: Mirror, part: Path) -> None:
    source = mirror.serve("/file", content=CONTENT, says_length=False)
    heard = get(part, source, size=None, sha256=None)
    assert heard[-1].total is None


def test_a_cut_connection_is_continued_where_it_ended(mirror: Mirror, part: Path) -> None:
    source = mirror.serve("/file", content=CONTENT, cut_after=[100_000, 50_000])
    get(part, source)
    assert mirror.files["/file"].asked == [None, "bytes=100000-", "bytes=150000-"]


def test_without_a_length_a_cut_shows_by_the_known_size(mirror: Mirror, part: Path) -> None:
    source = mirror.serve("/file", content=CONTENT, cut_after=[100_000], says_length=False)
    get(part, source)
    assert mirror.files["/file"].asked == [None, "bytes=100000-"]


def test_a_server_that_knows_no_ranges_starts_again(mirror: Mirror, part: Path) -> None:
    get(part, mirror.serve("/file", content=CONTENT, cut_after=[100_000], ranges=False))


def test_the_next_run_continues_what_the_last_one_left(mirror: Mirror, part: Path) -> None:
    part.parent.mkdir()
    part.write_bytes(CONTENT[:120_000])
    source = mirror.serve("/file", content=CONTENT)
    get(part, source)
    assert mirror.files["/file"].asked == ["bytes=120000-"]


def test_without_a_known_hash_nothing_of_another_run_is_used(mirror: Mirror, part: Path) -> None:
    part.parent.mkdir()
    part.write_bytes(b"something else")
    get(part, mirror.serve("/file", content=CONTENT), sha256=None)
    assert mirror.files["/file"].asked == [None]


def test_a_complete_file_is_not_fetched_again(mirror: Mirror, part: Path) -> None:
    part.parent.mkdir()
    part.write_bytes(CONTENT)
    get(part, mirror.serve("/file", content=CONTENT))
    assert mirror.files["/file"].asked == []


@pytest.mark.parametrize("size", [100_000, len(CONTENT), len(CONTENT) + 1])
def test_a_beginning_of_other_bytes_is_thrown_away(mirror: Mirror, part: Path, size: int) -> None:
    part.parent.mkdir()
    part.write_bytes(bytes(size))
    get(part, mirror.serve("/file", content=CONTENT))
    assert mirror.files["/file"].asked[-1] is None


def test_sources_are_tried_in_turn(mirror: Mirror, part: Path) -> None:
    sources = [
        mirror.serve("/forbidden", status=403),
        mirror.serve("/gone", status=404),
        mirror.serve("/broken", status=500),
        mirror.serve("/short", content=CONTENT[:-1]),
        mirror.serve("/wrong", content=CONTENT[:-1] + b"?"),
        mirror.serve("/dead", content=CONTENT, cut_after=[1000, 0, 0]),
        mirror.serve("/shifted", content=CONTENT, shift=1),
        "http://127.0.0.1:1/nobody-listens",
        mirror.serve("/good", content=CONTENT),
        mirror.serve("/spare", content=CONTENT),
    ]
    get(part, *sources)
    assert mirror.files["/good"].asked == ["bytes=1000-"]
    assert mirror.files["/spare"].asked == []


def test_every_reason_is_told_when_no_source_works(mirror: Mirror, part: Path) -> None:
    sources = [mirror.serve("/forbidden", status=403), mirror.serve("/wrong", content=b"?" * len(CONTENT))]
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1: it answered 403.*its SHA-256 is") as caught:
        get(part, *sources)
    assert caught.value.retryable
    assert not part.exists()


def test_wrong_bytes_everywhere_are_a_hash_mismatch(mirror: Mirror, part: Path) -> None:
    sources = [mirror.serve(f"/{i}", content=bytes(len(CONTENT) + i)) for i in (-1, 0, 1)]
    with pytest.raises(CheckpointHashMismatch):
        get(part, *sources)
    assert not part.exists()


def test_no_source_is_a_failure_too(part: Path) -> None:
    with pytest.raises(DownloadFailed, match="none is known"):
        get(part)


def test_a_body_without_end_is_refused(mirror: Mirror, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "LARGEST", 200_000)
    source = mirror.serve("/file", content=CONTENT, says_length=False)
    with pytest.raises(CheckpointHashMismatch, match="more than 200000 bytes"):
        get(part, source, size=None, sha256=None)
    assert not part.exists()


def test_a_silent_server_counts_as_cut(mirror: Mirror, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> bytes:
        raise TimeoutError("timed out")

    source = mirror.serve("/file", content=CONTENT)
    monkeypatch.setattr("http.client.HTTPResponse.read", silent)
    with pytest.raises(DownloadFailed, match="timed out"):
        get(part, source)


def test_redirects_are_followed_with_the_range(mirror: Mirror, part: Path) -> None:
    part.parent.mkdir()
    part.write_bytes(CONTENT[:1000])
    moved = mirror.serve("/moved", location=mirror.serve("/file", content=CONTENT))
    get(part, moved)
    assert mirror.files["/file"].asked == ["bytes=1000-"]


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/file", "file:///etc/hosts", "httpx://127.0.0.1/"])
def test_redirects_to_other_schemes_are_refused(mirror: Mirror, part: Path, target: str) -> None:
    with pytest.raises(DownloadFailed, match=r"redirects to an address|answered 302"):
        get(part, mirror.serve("/moved", location=target))


@pytest.mark.parametrize("source", ["http://127.0.0.1:1/file", "file:///etc/hosts", "ftp://127.0.0.1/file"])
def test_only_https_is_used_by_default(part: Path, source: str) -> None:
    with pytest.raises(DownloadFailed, match="only https addresses are used"):
        fetch(Wanted([source], None, None), part, on_progress=lambda progress: None)


def test_a_listener_can_stop_it_and_the_rest_comes_later(mirror: Mirror, part: Path) -> None:
    source = mirror.serve("/file", content=CONTENT)

    def stop(progress: Progress) -> None:
        if progress.done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Wanted([source], len(CONTENT), SHA256), part, on_progress=stop, schemes=HTTP)
    get(part, source)
    assert mirror.files["/file"].asked[1] is not None


def test_two_downloads_of_one_file_do_not_mix(mirror: Mirror, part: Path) -> None:
    part.parent.mkdir()
    with FileLock(f"{part}.lock"), pytest.raises(DownloadFailed, match="being downloaded already"):
        get(part, mirror.serve("/file", content=CONTENT))
    get(part, mirror.serve("/file", content=CONTENT))


def test_a_folder_that_cannot_be_written_is_named(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot be written"):
        get(tmp_path / "weights" / "file.part", mirror.serve("/file", content=CONTENT))
