"""Bytes on disk that a crash cannot tear: written aside, flushed, read back, then renamed.

Owns how a file comes to be; where it goes and what it is called is said in `outputs.py`. Every step
that can fail on a full or broken disk is here, so that tests break each of them in turn.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bridge.atomic import sync_folder
from bridge.errors import BridgeError, DiskFull, OutputError
from bridge.protocol.frame import Buffer

CHUNK_BYTES = 1024**2
PART = ".part"


@dataclass(frozen=True)
class Written:
    """A file as it lies on disk, read back."""

    size: int
    sha256: str


def part_of(folder: Path, lease_id: str) -> Path:
    """The file aside of a lease, in the folder where the result will appear."""
    return folder / f".gpen-{lease_id}{PART}"


def write_aside(part: Path, pieces: Sequence[Buffer], check: Callable[[int], None]) -> Written:
    """Write pieces into a fresh file, flush it to the disk, and read it back.

    Args:
        check: called with the bytes written so far; raises to stop.

    Raises:
        DiskFull, OutputError: it could not be written as it should be; nothing is left.
        BridgeError: what `check` raised; nothing is left.
    """
    expected = hashlib.sha256()
    try:
        make_folder(part.parent)
        written = 0
        with part.open("wb") as file:
            for piece in pieces:
                view = memoryview(piece).cast("B")
                for start in range(0, len(view), CHUNK_BYTES):
                    check(written)
                    chunk = view[start : start + CHUNK_BYTES]
                    file.write(chunk)
                    expected.update(chunk)
                    written += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        found = read_back(part)
        if found != Written(written, expected.hexdigest()):
            raise OutputError(
                f"{part.parent} gave back other bytes than were written.", hint="Check the disk."
            )
    except OSError as error:
        discard(part)
        raise named(error, part.parent) from error
    except BaseException:
        discard(part)
        raise
    return found


def make_folder(path: Path) -> None:
    """Make a folder and its parents, so that they survive a power cut too.

    Raises:
        OSError: they cannot be made.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def read_back(path: Path) -> Written:
    """Size and SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    return Written(size, digest.hexdigest())


def appear(part: Path, target: Path, *, replace: bool) -> bool:
    """Give a finished part its name; False, and unchanged, when a file of that name exists.

    Raises:
        DiskFull, OutputError: the disk refused; the target is as it was.
    """
    try:
        if replace:
            part.replace(target)
        elif not _link(part, target):
            return False
        try:
            sync_folder(target.parent)
        except OSError:
            if not replace:
                discard(target)  # it may not survive a power cut, so it is not there
            raise
    except OSError as error:
        raise named(error, target.parent) from error
    discard(part)
    return True


def discard(path: Path) -> bool:
    """Remove one of our own files; False when the system did not let us."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def free_bytes(folder: Path) -> int:
    """Free space on the disk of a folder, which may have been removed: it is made again when it is needed.

    Raises:
        OutputError: the disk does not answer.
    """
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError as error:
            raise named(error, folder) from error
    raise OutputError(f"{folder} is gone, and all above it.")


def named(error: OSError, where: Path) -> BridgeError:
    """A failure to write by its name."""
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return DiskFull(f"{where}: {reason}.")
    return OutputError(f"{where} could not be written to: {reason}.")


def _link(part: Path, target: Path) -> bool:
    """Rename that never overwrites: os.rename does so on Windows, a hard link elsewhere."""
    try:
        if os.name == "nt":
            part.rename(target)
        else:
            os.link(part, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # A disk without hard links (exFAT): the look before is all there is against other programs.
        if target.exists():
            return False
        part.replace(target)
    return True
