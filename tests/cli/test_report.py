"""What the command line prints arrives whole, in a file or another program too."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli import main

ROOT = Path(__file__).parents[2]
needs_any_bytes = pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
NAMES = [
    pytest.param("照片", id="chinese"),
    pytest.param(os.fsdecode(b"\xf6t\xe9"), id="not text", marks=needs_any_bytes),
]


def printed(home: Path, encoding: str, *words: str | Path) -> bytes:
    """What `gpen-bridge WORD...` writes into a pipe, where the system's encoding is this one."""
    done = subprocess.run(  # noqa: S603 - ourselves
        [sys.executable, "-m", "bridge", *words],
        cwd=ROOT,
        env={**os.environ, "GPEN_HOME": str(home), "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
@pytest.mark.parametrize("name", NAMES)
def test_every_name_can_be_printed(home: Path, photos: Path, encoding: str, name: str) -> None:
    photo = photos / f"{name}.jpg"
    shutil.copy(photos / "sky.JPEG", photo)
    assert json.loads(printed(home, encoding, "faces", photo, "--json"))["path"] == str(photo)
    folder = photos / name
    said = printed(home, encoding, "plugins", "package", "photoshop", "-o", folder).decode()
    assert str(folder).encode("utf-8", "backslashreplace").decode() in said


def test_a_table_for_spreadsheets_is_printed_byte_for_byte(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "argv", ["gpen-bridge", "jobs", "export"])
    monkeypatch.setattr(
        sys, "stdout", io.TextIOWrapper(content, encoding="cp1252", newline="\r\n")
    )  # Windows
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert content.getvalue().startswith(b"job,")
    assert [content.getvalue().count(end) for end in (b"\r\n", b"\n", b"\r")] == [1, 1, 1]


@needs_any_bytes
def test_watch_takes_names_that_are_not_text(home: Path, installed: None, photos: Path) -> None:
    folder = photos / os.fsdecode(b"w\xff")
    folder.mkdir()
    shutil.copy(photos / "sky.JPEG", folder / os.fsdecode(b"\xf6.jpg"))
    result = folder / "GPEN" / os.fsdecode(b"\xf6-GPEN.jpg")
    told = json.loads(printed(home, "utf-8", "watch", folder, "--once", "--json"))
    assert told["output"] == str(result)
    result.unlink()
    assert not printed(home, "utf-8", "watch", folder, "--once", "--json")  # it was told
