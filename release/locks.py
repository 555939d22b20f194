"""The versions and hashes of everything that is installed; knows files of requirements, installs nothing.

`constraints.txt` pins each version for every system and Python that we support; `make` installs against
it. `requirements/bridge.txt`, `torch.txt` and `studio.txt` name the same versions with the hash of each
file, for installs that shall take nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
BRIDGE = ROOT / "requirements" / "bridge.txt"
TORCH = ROOT / "requirements" / "torch.txt"
STUDIO = ROOT / "requirements" / "studio.txt"

EXTRAS = ("onnx", "ncnn")
"""What a bridge runs with, no tools of ours."""
STUDIO_EXTRA = "studio"
"""What only a studio's machines need: Ray and the certificates, 240 MB that a desktop has no use for."""
TORCH_ONLY = re.compile(r"torch$|triton$|nvidia-|cuda-")
"""torch, and what only its CUDA build for Linux brings: about 3 GB that a processor has no use for."""

CONSTRAINTS_HEAD = """\
# The versions that we build and test with, on every system: `make` installs against this file;
# pyproject.toml states the ranges that users may bring. Written by `make lock`, which keeps what
# stands here: to take a newer version, change its line or delete it, then lock again.
# torch stays at 2.13.0 until a newer one has passed the whole suite.
"""
BRIDGE_HEAD = """\
# What a bridge runs with, torch left out, each file by its hash: docs/install.md. Written by `make lock`.
"""
STUDIO_HEAD = """\
# What the extra `studio` brings beside bridge.txt and torch.txt, each file by its hash: docs/install.md.
# Written by `make lock`.
"""
TORCH_HEAD = """\
# torch as PyPI has it (Linux: with CUDA; Windows and macOS: without), each file by its hash. Written by
# `make lock`. The builds of PyTorch's own index have other files and so other hashes: docs/install.md.
"""


@dataclass(frozen=True)
class Pin:
    """One line of a file of requirements.

    Attributes:
        name: normalised.
        version: the only one that is taken.
        marker: where it holds; empty: everywhere.
        hashes: SHA-256 of each file that is taken, lower-case hexadecimal.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def holds_here(self) -> bool:
        """Is it of this system and this Python?"""
        # What is built with a marker has one.
        return not self.marker or Requirement(f"{self.name}; {self.marker}").marker.evaluate()  # type: ignore[union-attr]


def pins(path: Path) -> Iterator[Pin]:
    """What a file of requirements pins.

    Raises:
        ValueError: a line that is not one exact version.
    """
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
    ]
    for entry in "\n".join(lines).replace("\\\n", " ").splitlines():
        words, *hashes = entry.split("--hash=sha256:")
        if not words.strip():
            continue
        asked = Requirement(words)
        (exact,) = asked.specifier
        if exact.operator != "==" or "*" in exact.version:
            raise ValueError(f"{path.name}: {words.strip()} is not one exact version")
        marker = str(asked.marker or "")
        found = tuple(hashed.strip() for hashed in hashes)
        yield Pin(canonicalize_name(asked.name), exact.version, marker, found)


def lock() -> None:
    """Write the four files anew from pyproject.toml; versions in constraints.txt are kept where they fit.

    Raises:
        subprocess.CalledProcessError: the index cannot be reached, or nothing fits all ranges.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "constraints.txt"
        found.write_text(CONSTRAINTS.read_text(encoding="utf-8"), encoding="utf-8")
        _compile("--all-extras", "--no-annotate", "--output-file", str(found))
        CONSTRAINTS.write_text(CONSTRAINTS_HEAD + found.read_text(encoding="utf-8"), encoding="utf-8")
    bridge = _hashed(*EXTRAS)
    ours = {_name(entry) for entry in bridge}
    torch = [entry for entry in bridge if TORCH_ONLY.match(_name(entry))]
    for path, head, entries in (
        (BRIDGE, BRIDGE_HEAD, [entry for entry in bridge if entry not in torch]),
        (TORCH, TORCH_HEAD, torch),
        (STUDIO, STUDIO_HEAD, [one for one in _hashed(*EXTRAS, STUDIO_EXTRA) if _name(one) not in ours]),
    ):
        path.write_text(head + "\n".join(entries) + "\n", encoding="utf-8")


def _hashed(*extras: str) -> list[str]:
    """An entry for each package that a bridge with these extras needs, by constraints.txt."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "hashed.txt"
        asked = [word for extra in extras for word in ("--extra", extra)]
        against = ("--constraints", str(CONSTRAINTS), "--no-annotate", "--generate-hashes")
        _compile(*asked, *against, "--output-file", str(found))
        return re.split(r"\n(?=[a-z0-9])", found.read_text(encoding="utf-8").strip())


def _name(entry: str) -> str:
    return entry.partition("==")[0]


def _compile(*words: str) -> None:
    """uv resolves once for all systems and Pythons, which pip cannot."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--universal", "--no-header"]
    subprocess.run([*command, "--quiet", *words], cwd=ROOT, check=True)  # noqa: S603 - our own interpreter
