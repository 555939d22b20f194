"""Files that one program holds at a time: the data folder, a download, the list of what is trusted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from bridge.errors import OutputError

FOR_EVER = -1.0


@contextmanager
def held(path: Path, *, seconds: float = FOR_EVER) -> Iterator[None]:
    """Hold a lock file, which is made when it is missing, for as long as the block.

    Threads of one process keep each other out too.

    Args:
        seconds: to wait for whoever holds it; 0 only tries.

    Raises:
        Timeout: somebody still holds it then (filelock's own).
        OutputError: the file cannot be opened or locked.
    """
    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except Timeout:
        raise
    except (OSError, NotImplementedError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise OutputError(
            f"{path} cannot be locked: {reason}.",
            hint="Look who owns the file and its folder, and whether you may write there: a command that ran "
            "with sudo leaves files of root's. While no bridge runs it may be deleted.",
        ) from error
    try:
        yield
    finally:
        lock.release()
