"""`python -m release`: everything that a release consists of, in `dist/`; `python -m release lock`: the pins.

Exits with 1, and writes no checksums, when a part's licence is not one that a studio can take.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from release import inventory, locks, packages


def make(destination: Path) -> int:
    """Wheel, plug-ins, SBOM, licences and the checksums of all of them; the exit status."""
    (destination / packages.CHECKSUMS).unlink(missing_ok=True)
    found = inventory.parts()
    told = {
        "sbom.cdx.json": inventory.sbom(inventory.product(), found) + "\n",
        "licences.md": inventory.report(found),
    }
    files = packages.build(locks.ROOT, destination)
    for name, text in told.items():
        files.append(destination / name)
        files[-1].write_text(text, encoding="utf-8", newline="\n")
    refused = [part for part in found if not part.allowed]
    for part in refused:
        print(f"{part.name} {part.version} may not be used: {part.licence or 'its licence is not known'}.")
    if not refused:
        print(packages.write_checksums(files, destination).read_text(encoding="utf-8"), end="")
    return 1 if refused else 0


def main() -> None:
    """Do what was typed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=("make", "lock"), nargs="?", default="make")
    parser.add_argument("--output", type=Path, default=locks.ROOT / "dist", help="a folder, made if need be")
    asked = parser.parse_args()
    if asked.verb == "lock":
        locks.lock()
    else:
        sys.exit(make(asked.output))


if __name__ == "__main__":
    main()
