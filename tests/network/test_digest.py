from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.network.digest import file_sha256


@pytest.mark.parametrize("length", [0, 1, 2_500_000])
def test_it_is_the_digest_of_every_byte(tmp_path: Path, length: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"\1" * length)
    assert file_sha256(path) == hashlib.sha256(b"\1" * length).hexdigest()


def test_nobody_waits_for_torch_to_hash_a_file() -> None:
    code = "import sys, bridge.network.digest; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert done.stdout.strip() == "False"
