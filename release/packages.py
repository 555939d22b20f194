"""The files that users install: the wheel, the plug-ins, and the list of their checksums.

The same sources give the same bytes, whoever builds them, where and when: the wheel by hatchling (its
version is pinned in constraints.txt; deflate's bytes are those of Python's own zlib), the plug-ins by
`bridge.plugins`. `SOURCE_DATE_EPOCH` dates the files in the wheel.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bridge import plugins
from bridge.network.digest import file_sha256

CHECKSUMS = "SHA256SUMS"


def build(checkout: Path, destination: Path) -> list[Path]:
    """Write the wheel of a checkout and the plug-ins of this one.

    Raises:
        subprocess.CalledProcessError: the wheel cannot be built; hatchling refused.
        OutputError: a plug-in cannot be written.
    """
    return [wheel(checkout, destination), *(plugins.package(name, destination) for name in plugins.PLUGINS)]


def wheel(checkout: Path, destination: Path) -> Path:
    """Build the wheel of a checkout; one of the same name is replaced.

    Raises:
        subprocess.CalledProcessError: as for `build`.
    """
    destination.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=destination.resolve()) as folder:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(command, cwd=checkout, check=True, capture_output=True)  # noqa: S603 - our own interpreter
        (built,) = Path(folder).iterdir()
        return built.replace(destination / built.name)


def write_checksums(files: Iterable[Path], destination: Path) -> Path:
    """Write what `sha256sum --check` reads, a line for each file."""
    path = destination / CHECKSUMS
    lines = [f"{file_sha256(file)}  {file.name}\n" for file in sorted(files, key=lambda file: file.name)]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path
