"""All that a release consists of, in one folder: `make release`, or `python -m release DIR`.

The wheel, both plug-ins as packages, the bill of materials (CycloneDX), the licences, and SHA256SUMS over
all of it. The same sources give the same bytes, so anybody can check that a release is what its sources say.
Exit status 1 where a licence is not known to fit.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

from bridge import plugins
from release.licences import Licensed, licences

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
SUMS = "SHA256SUMS"


def build_wheel(sources: Path, folder: Path) -> Path:
    """The wheel of a checkout; hatchling gives its files one time and one order."""
    _run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], sources)
    (wheel,) = folder.glob("*.whl")
    return wheel


def write_bill(path: Path) -> None:
    """The libraries of `requirements.lock` with their hashes; without a time or a number of its own."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(LOCK)]
    _run([*command, "--output-reproducible", "--output-format", "JSON", "--output-file", str(path)], ROOT)


def licences_text(found: list[Licensed]) -> str:
    """A table for people."""
    rows = [f"| {one.name} | {one.version} | {one.licence or 'not stated'} |" for one in found]
    head = ["# Licences of the libraries that the bridge needs", "", "| library | version | licence |"]
    return "\n".join([*head, "|---|---|---|", *rows, ""])


def write_sums(folder: Path) -> Path:
    """SHA256SUMS over all files of a folder, as `sha256sum --check` reads it."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != SUMS)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8", newline="\n")
    return folder / SUMS


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603 - our own interpreter


def main() -> None:
    """Make a release."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("dist"), help="must be empty or absent")
    folder = parser.parse_args().folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"{folder} is not empty; an old file must not get into a new release.")
    found = licences()
    (folder / "LICENCES.md").write_text(licences_text(found), encoding="utf-8", newline="\n")
    write_bill(folder / "sbom.cdx.json")
    build_wheel(ROOT, folder)
    for name in plugins.PLUGINS:
        plugins.package(name, folder)
    print(write_sums(folder).read_text(encoding="utf-8"), end="")
    if doubtful := [f"{one.name} ({one.licence or 'none stated'})" for one in found if not one.allowed]:
        sys.exit(f"Licences that are not known to fit: {', '.join(doubtful)}")


if __name__ == "__main__":
    main()
