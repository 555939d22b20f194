"""Where results go: names that fit, and a look for what lies there already that always ends."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.batch import delivered, is_result, targets
from bridge.cli.enhance import expanded
from bridge.errors import OutputError
from bridge.jobs import spool
from bridge.protocol.jobs import ItemResult

CONTENT = b"a result"
RESULT = ItemResult.model_construct(size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
NAME_BYTES = 255
"""What file systems take."""


def names(folder: Path) -> Iterator[Path]:
    """As many as a look may need; more is a look without an end."""
    yield from itertools.islice(targets(Path("anna.png"), folder, "image/png"), 50)
    pytest.fail("it looks on and on")


def test_a_result_is_found_among_the_names_that_are_taken(tmp_path: Path) -> None:
    assert delivered(names(tmp_path), RESULT) is None
    (tmp_path / "anna-GPEN.png").write_bytes(b"another!")
    (tmp_path / "anna-GPEN-2.png").mkdir()
    assert delivered(names(tmp_path), RESULT) is None
    (tmp_path / "anna-GPEN-3.png").write_bytes(CONTENT)
    assert delivered(names(tmp_path), RESULT) == tmp_path / "anna-GPEN-3.png"


def test_a_name_that_is_not_ours_to_read_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna-GPEN.png", "anna-GPEN-2.png"):
        (tmp_path / name).write_bytes(CONTENT)

    def refused(path: Path) -> spool.Written:
        if path.name == "anna-GPEN.png":
            raise PermissionError(errno.EACCES, "Permission denied")
        return spool.read_back(path)

    monkeypatch.setattr("bridge.cli.batch.read_back", refused)
    assert delivered(names(tmp_path), RESULT) == tmp_path / "anna-GPEN-2.png"


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EACCES, errno.ENOTDIR, errno.EIO])
def test_a_folder_that_does_not_tell_ends_the_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def stat(path: Path, **_: object) -> os.stat_result:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "stat", stat)
    with pytest.raises(OutputError, match=os.strerror(number)):
        delivered(names(tmp_path), RESULT)


@pytest.mark.parametrize(
    "stem",
    ["x" * 251, "照" * 83, "a" + "照" * 83, "é" * 124, "x" * 200, "\udcff" * 251],
    ids=["ascii", "three bytes", "odd", "two bytes", "short", "not text"],
)
def test_a_name_of_any_length_leaves_room_for_mark_number_and_suffix(tmp_path: Path, stem: str) -> None:
    for target in itertools.islice(targets(Path(f"{stem}.jpeg"), tmp_path, "image/tiff"), 1000):
        assert len(target.name.encode("utf-8", "surrogateescape")) <= NAME_BYTES
        beginning = target.stem[: target.stem.index("-GPEN")]
        assert stem.startswith(beginning)
        assert len(beginning) > 60
        assert is_result(target)


def test_a_shortened_name_is_known_as_a_result_of_its_original(tmp_path: Path) -> None:
    original = tmp_path / f"{'x' * 230}.jpg"
    results = list(itertools.islice(targets(original, tmp_path, "image/jpeg"), 3))
    for path in (original, *results):
        path.write_bytes(b"")
    assert expanded([original, *results]) == [original]
