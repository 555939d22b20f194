"""Small files that appear whole or not at all, and files that are for the owner's eyes only."""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bridge.errors import OutputError


def write_file(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write beside the target, flush to the disk, then rename over it.

    Args:
        private: only the owner may read it (mode 0600). On Windows the mode means nothing; there
            the file inherits the access list of the user's profile folder: the user, SYSTEM and
            the administrators, who could read it in any case.

    Raises:
        OutputError: the folder is missing, read-only or full; the target is unchanged.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600 if private else 0o666)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        persisting(lambda: aside.replace(path))
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise OutputError(f"{path} could not be written: {error.strerror or error}.") from error


def persisting(change: Callable[[], object]) -> None:
    """Replace or remove a file, also while another program on Windows looks at it.

    There a file that is open cannot be replaced or removed; virus scanners, indexers and plug-ins
    that read it let go within moments.

    Raises:
        PermissionError: it still is after a second. On other systems at once: there it means rights.
        OSError: what else the change raises.
    """
    for pause in _PAUSES:
        try:
            change()
        except PermissionError:
            if not _OPEN_FILES_STAY:
                raise
            time.sleep(pause)
        else:
            return
    change()


_OPEN_FILES_STAY = os.name == "nt"
_PAUSES = (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.25)
"""Seconds; a little over one in all."""

_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP})
"""What a file system says that cannot do it for folders at all: some network and shared ones."""


def sync_folder(path: Path) -> None:
    """Make renames inside a folder survive a power cut, where that can be asked; Windows does it by itself.

    Raises:
        OSError: the disk could not do it.
    """
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)


def private_folder(path: Path) -> None:
    """Make a folder that only the owner may enter (mode 0700), parents included.

    One that is there already, of ours and open to others, is closed to them.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.name != "nt" and path.stat().st_uid == os.getuid() and path.stat().st_mode & 0o077:
            with suppress(OSError):  # some file systems have no modes
                path.chmod(0o700)
    except OSError as error:
        raise OutputError(f"{path} could not be made: {error.strerror or error}.") from error


_BINARY = getattr(os, "O_BINARY", 0)
