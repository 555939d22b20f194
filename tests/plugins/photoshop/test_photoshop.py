"""Runs the plug-in's JavaScript tests: each file as one test, against the real bridge."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

HERE = Path(__file__).parent
NODE = shutil.which("node")
SECONDS = 600
SLOW = {"large.test.js"}

pytestmark = pytest.mark.skipif(
    NODE is None, reason="node is not installed: the Photoshop plug-in is not tested"
)


@pytest.fixture(scope="session")
def portrait_file(portrait: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait as raw bytes."""
    path = tmp_path_factory.mktemp("photoshop") / "portrait.rgb"
    path.write_bytes(portrait.tobytes())
    return path


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(path.name, marks=[pytest.mark.slow] if path.name in SLOW else [])
        for path in sorted(HERE.glob("*.test.js"))
    ],
)
def test_in_node(name: str, portrait_file: Path) -> None:
    env = {**os.environ, "GPEN_TEST_PYTHON": sys.executable, "GPEN_TEST_PORTRAIT": str(portrait_file)}
    done = subprocess.run(  # noqa: S603 - node, found above
        [str(NODE), "--expose-gc", "--test", "--test-reporter=spec", name],
        cwd=HERE,
        env=env,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
