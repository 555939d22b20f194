"""The short form of benchmarks/torture.py: a death at every named step, and a few at random."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.torture import ZEROS, Torture


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
async def test_nothing_is_lost_doubled_or_torn(tmp_path: Path) -> None:
    figures = await Torture(tmp_path, seed=7, stored=50).run(kills=4)
    assert figures["kills"] == 4 + 7
    assert {name: figures[name] for name in ZEROS} == dict.fromkeys(ZEROS, 0)
