"""A log of JSON lines, chained so that any later change shows. Knows nothing of pictures.

Each line ends in the SHA-256 of its own bytes before that, and tells that of the line before. A write
that was cut short is never mended: the next line carries the SHA-256 of the bytes that it left. What a
chain alone cannot show is that its newest lines were cut off whole; whoever has to prove that notes
`Verified.head` elsewhere.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.atomic import sync_folder
from bridge.errors import OutputError
from bridge.jobs import spool

MAX_FILE_BYTES = 16 * 1024**2
"""About 25,000 lines. A full file is left as it is and the next one begun; none is ever deleted."""
NO_LINE = "0" * 64
"""Stands where the first line would name the one before."""

_FILE = re.compile(r"audit-(\d{6,})\.jsonl")
_LINE = re.compile(rb'(\{.*),"sha256":"([0-9a-f]{64})"\}\n?', re.DOTALL)


@dataclass(frozen=True)
class Broken:
    """The first place where the chain does not hold; `line` counts from 1 in the file."""

    file: Path
    line: int
    reason: str


@dataclass(frozen=True)
class Verified:
    """What verifying found.

    Attributes:
        first: number of the oldest line that is there: above 1 when the owner has moved old files away.
        lines: how many hold, up to the first broken link.
        head: SHA-256 of the last of them; `NO_LINE` for an empty log.
        torn: places where a write was cut short and the next line says so.
        broken: None: every byte is as it was written.
    """

    first: int
    lines: int
    head: str
    torn: int
    broken: Broken | None


@dataclass(frozen=True)
class _End:
    """Where the next line goes, and what it has to tell about those before.

    Attributes:
        torn: SHA-256 of what follows the last line that holds, `newline` included; None: nothing does.
        newline: what has to be written first to end a cut line.
    """

    file: Path
    size: int
    number: int
    before: str
    torn: str | None = None
    newline: bytes = b""


class Chain:
    """Appends to the chain in `folder`; may be used from any thread of the one process that owns it.

    Args:
        folder: is made when it is missing, for the owner only.
        max_file_bytes: size from which the next file is begun.
    """

    def __init__(self, folder: Path, *, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._folder = folder
        self._max_file_bytes = max_file_bytes
        self._lock = threading.Lock()
        self._end: _End | None = None

    def append(self, facts: Mapping[str, Any]) -> None:
        """Append one line; it is on the disk when this returns.

        Args:
            facts: JSON values; `number`, `before`, `torn` and `sha256` are the chain's own names.

        Raises:
            DiskFull, OutputError: it is not there; what a cut write left is put on record with the next line.
        """
        self.extend((facts,))

    def extend(self, many: Iterable[Mapping[str, Any]]) -> None:
        """Append lines and flush them to the disk together.

        Raises:
            DiskFull, OutputError: the first ones may be there, and the rest is not; else as `append`.
        """
        with self._lock:
            try:
                end = self._end or _find_end(self._folder)
                self._end = None  # after a failed write the files are looked at again
                self._end = self._write(end, many)
            except OSError as error:
                raise spool.named(error, self._folder) from error

    def _write(self, end: _End, many: Iterable[Mapping[str, Any]]) -> _End:
        file, size, number, before = end.file, end.size, end.number, end.before
        torn, written = end.torn, end.newline
        for facts in many:
            links: dict[str, Any] = {"number": number + 1, "before": before}
            if torn is not None:
                links["torn"] = torn
            line, own = _line(links | dict(facts))
            reached = size + len(written)
            ends_a_cut_line = end.newline and written == end.newline  # which has to be in the same file
            if reached > 0 and reached + len(line) > self._max_file_bytes and not ends_a_cut_line:
                _append(file, written)
                file, size, written = _path(self._folder, _number(file) + 1), 0, b""
            written += line
            number, before, torn = number + 1, own, None
        _append(file, written)
        return _End(file, size + len(written), number, before)


def newest(folder: Path, count: int) -> list[dict[str, Any]]:
    """The last lines that hold, oldest first, each with the chain's own names; at least `count` if there are.

    Raises:
        OutputError: a file cannot be read.
    """
    found: list[dict[str, Any]] = []
    with _readable(folder):
        for file in reversed(_files(folder)):
            held = (_checked(line) for line in file.read_bytes().splitlines(keepends=True))
            found = [checked[0] for checked in held if checked is not None] + found
            if len(found) >= count:
                break
    return found


def verify(folder: Path) -> Verified:
    """Read the whole log and find the first broken link; memory stays small whatever its size.

    A line that is being written at this moment reads as cut short: verify a quiet log, or again.

    Raises:
        OutputError: a file cannot be read.
    """
    with _readable(folder):
        return _verify(folder)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The audit log in {folder} could not be read: {error.strerror or error}."
        ) from error


def _verify(folder: Path) -> Verified:
    first, lines, torn, head = 1, 0, 0, NO_LINE
    left_over = None  # the SHA-256, so far, of what follows the last line that holds
    suspect: Broken | None = None
    for file, place, line in _lines(folder):
        checked = _checked(line)
        if checked is None:
            suspect = suspect or Broken(file, place, "The line was changed, or its write was cut short.")
            left_over = left_over or hashlib.sha256()
            left_over.update(line)
            continue
        content, own = checked
        if lines == 0:
            first = max(1, content["number"])
        follows = content["before"] == head or (lines == 0 and first > 1)
        in_turn = content["number"] == first + lines
        vouches = content.get("torn") == (left_over.hexdigest() if left_over else None)
        if not (follows and in_turn and vouches):
            gap = Broken(file, place, "The line does not follow the one before.")
            return Verified(first, lines, head, torn, suspect or gap)
        torn += left_over is not None
        left_over = suspect = None
        lines, head = lines + 1, own
    return Verified(first, lines, head, torn, suspect)


def _line(content: Mapping[str, Any]) -> tuple[bytes, str]:
    """A line and its SHA-256."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    # A file name that is not UTF-8 has lone surrogates; escaped, they are JSON all the same.
    body = text.encode("utf-8", "backslashreplace").removesuffix(b"}")
    own = hashlib.sha256(body).hexdigest()
    return body + f',"sha256":"{own}"}}\n'.encode(), own


def _checked(line: bytes) -> tuple[dict[str, Any], str] | None:
    """The content and SHA-256 of a line that is as it was written, by a chain; else None."""
    match = _LINE.fullmatch(line)
    if match is None or hashlib.sha256(match[1]).hexdigest().encode() != match[2]:
        return None
    try:
        content: dict[str, Any] = json.loads(match[1] + b"}")
    except (ValueError, RecursionError):
        return None
    # Anybody can compute a line's own SHA-256; without its links it is not of the chain.
    number, before = content.get("number"), content.get("before")
    if type(number) is not int or number < 1 or not isinstance(before, str):
        return None
    return content, match[2].decode()


def _find_end(folder: Path) -> _End:
    """Where to go on: behind the last line that holds, past whatever a cut write left behind it."""
    files = _files(folder)
    current, size = (files[-1], files[-1].stat().st_size) if files else (_path(folder, 1), 0)
    number, before, left_over, newline = 0, NO_LINE, b"", b""
    for file in reversed(files):
        content = file.read_bytes()
        if file == current and content and not content.endswith(b"\n"):
            newline = b"\n"
        stop = len(content)
        while stop > 0:
            start = content.rfind(b"\n", 0, stop - 1) + 1
            if (held := _checked(content[start:stop])) is not None:
                number, before = held[0]["number"], held[1]
                break
            stop = start
        left_over = content[stop:] + left_over
        if number:
            break
    torn = hashlib.sha256(left_over + newline).hexdigest() if left_over else None
    return _End(current, size, number, before, torn, newline)


def _lines(folder: Path) -> Iterator[tuple[Path, int, bytes]]:
    for file in _files(folder):
        with file.open("rb") as opened:
            for place, line in enumerate(opened, start=1):
                yield file, place, line


def _files(folder: Path) -> list[Path]:
    """The log's files, oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _FILE.fullmatch(path.name)), key=_number)


def _path(folder: Path, number: int) -> Path:
    return folder / f"audit-{number:06}.jsonl"


def _number(file: Path) -> int:
    match = _FILE.fullmatch(file.name)
    assert match is not None  # noqa: S101 - only files of that form are asked for
    return int(match[1])


def _append(file: Path, lines: bytes) -> None:
    if not lines:
        return
    if not file.parent.is_dir():
        spool.make_folder(file.parent.parent)
        file.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    with os.fdopen(handle, "wb", buffering=0) as opened:
        written = opened.write(lines)
        if written != len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(opened.fileno())
    if file.stat().st_size == len(lines):
        sync_folder(file.parent)  # a fresh file has to have its name after a power cut too
