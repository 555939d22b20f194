"""A real cluster of a head and two nodes on this machine, and what it has to withstand.

    python -m benchmarks.studio [equal|faults|spill|share|scaling|doors ...]

Needs the extra `studio`, Linux, and for `doors` also the package grpcio. Prints one JSON document; the
figures under "must_be_zero" have to be, and the exit status tells.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.studio import doors, faults, passes


def main() -> None:
    """Run what is asked for."""
    shows = {
        "equal": passes.equal,
        "spill": passes.spill,
        "scaling": passes.scaling,
        "doors": doors.doors,
        "share": faults.share,
        "faults": faults.faults,
    }
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shows", nargs="*", choices=[[], *shows], default=[])
    parser.add_argument("--items", type=int, default=200, help="photos of the batch of `faults`")
    parser.add_argument("--cut", type=float, default=60.0, help="seconds that the network is cut")
    asked = parser.parse_args()
    failed = False
    for name in asked.shows or list(shows):
        with tempfile.TemporaryDirectory(prefix="gpen-st-") as folder:
            told = asyncio.run(shows[name](Path(folder), asked.items, asked.cut))
        failed |= any(told.get("must_be_zero", {}).values()) or not told.get("holds", True)
        print(json.dumps({name: told}, indent=1), flush=True)
    sys.exit(failed)


main()
