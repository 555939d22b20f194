"""The long form of tests/security/test_hostile_bytes.py: `python -m benchmarks.fuzz TARGET --seconds N`.

TARGET is one of the readers, or `all`. Prints how many cases were tried, how many were read and how many
refused, by which error, and the most memory. The first finding, a crash and a hang among them, ends it;
its case lies in the file that is named at the start.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from benchmarks.fuzz.damage import damaged, drawn
from benchmarks.fuzz.targets import BOUND_BYTES, SECONDS, TARGETS, Target
from bridge.errors import BridgeError


def peak_bytes() -> int:
    """The most memory that the process ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def attack(target: Target, seconds: float, random: Random, case: Path) -> Counter[str]:
    """Damaged files until the time is over; outcomes by the code of their error, or `read`."""
    told: Counter[str] = Counter()
    sound = target.seeds()
    for data in sound:
        _one(target, data, told)
    before, until, armed = peak_bytes(), time.monotonic() + seconds, 0.0
    while (now := time.monotonic()) < until:
        if now - armed > 1:  # arming starts a thread, so not for each case
            faulthandler.dump_traceback_later(SECONDS, exit=True)
            armed = now
        data = target.mend(damaged(random.choice(sound), drawn(random), random.choice(sound)))
        case.write_bytes(data)
        _one(target, data, told)
        if peak_bytes() - before > BOUND_BYTES:
            raise AssertionError("more memory than the bound")
    faulthandler.cancel_dump_traceback_later()
    told["megabytes"] = (peak_bytes() - before) >> 20
    return told


def _one(target: Target, data: bytes, told: Counter[str]) -> None:
    try:
        target.run(data)
        told["read"] += 1
    except BridgeError as error:
        told[error.code] += 1


def main() -> None:
    """Attack one target, or each in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target")
    parser.add_argument("--seed", type=int, default=0, help="another one tries other cases")
    asked = parser.parse_args()
    case = Path(tempfile.mkdtemp(prefix="gpen-fuzz-case-")) / "case"
    print(f"the case at work lies in {case}", file=sys.stderr)
    for name in TARGETS if asked.target == "all" else [asked.target]:
        began, worked = time.monotonic(), time.process_time()
        told = attack(TARGETS[name], asked.seconds, Random(asked.seed), case)  # noqa: S311 - to be repeated
        memory = told.pop("megabytes")
        figures = {
            "target": name,
            "cases": told.total(),
            "cpu_seconds": round(time.process_time() - worked, 1),
            "seconds": round(time.monotonic() - began, 1),
            "megabytes_more": memory,
            "outcomes": dict(told.most_common()),
        }
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
