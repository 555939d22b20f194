"""glibc's allocator, told to keep what large buffers leave behind. Elsewhere nothing is done.

A photo of 24 megapixels and a pass of the network allocate and free hundreds of megabytes. By default each
large buffer is mapped afresh and faulted in page by page: nearly half of a pass's time (facts/gpen.md
section 5), a sixth of a photo's in a batch.
"""

from __future__ import annotations

import ctypes
import platform
import sys

# mallopt parameters, <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_large_buffers() -> None:
    """Keep freed buffers for the next ones, in one place for all threads.

    Only the main arena can grow past 64 MiB, so all threads share that one; threads that have allocated
    before this call keep theirs, so call it early.
    """
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_ARENA_MAX, 1)
        libc.mallopt(_M_MMAP_THRESHOLD, 2**30)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def give_back() -> None:
    """Return what is not used to the system."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux") or platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL(None)
