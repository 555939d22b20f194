from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bridge.engine import allocator

ROOT = Path(__file__).parents[2]


def test_nothing_is_done_where_there_is_no_glibc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator.platform, "libc_ver", lambda: ("", ""))
    allocator.keep_large_buffers()
    allocator.give_back()


@pytest.mark.skipif(sys.platform != "linux" or not allocator._glibc(), reason="glibc's allocator")
def test_large_buffers_of_a_thread_are_kept_and_can_be_given_back() -> None:
    # In a process of its own: the allocator's settings cannot be undone.
    script = """
import resource, threading
import numpy as np
from bridge.engine.allocator import give_back, keep_large_buffers

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def resident():
    return int(open("/proc/self/statm").read().split()[1])

keep_large_buffers()

def work():
    fill = lambda: np.empty(100 << 20, np.uint8).fill(1)
    fill()
    before = faults()
    for _ in range(5):
        fill()
    kept = resident()
    give_back()
    print(faults() - before, kept - resident())

thread = threading.Thread(target=work)
thread.start()
thread.join()
"""
    command = [sys.executable, "-c", script]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S603 our own script
    faults, given_back = map(int, told.split())
    pages = (100 << 20) // 4096
    assert faults < pages  # five fresh buffers would fault five times as many
    assert given_back > pages // 2
