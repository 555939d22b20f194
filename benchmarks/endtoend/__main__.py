"""What a user waits for beside the network.

    python -m benchmarks.endtoend [ROW...] [--write]

Each row runs in a process of its own and compares things done in turns in one run, so that a busy
machine slows both. `--write` keeps the figures in docs/benchmarks.json and draws docs/benchmarks.md
and its chart from them; rows that were not asked for keep their earlier figures. Without it, exits with 1
when a target is missed, or a ratio is a quarter worse than the one that is kept.
"""

from __future__ import annotations

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict

from benchmarks.endtoend import growth, report, rows

ROWS = {**rows.ROWS, **growth.ROWS}


def main() -> None:
    """Measure, print and perhaps keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    failed = []
    context = multiprocessing.get_context("spawn")
    for row in options.rows or ROWS:
        with ProcessPoolExecutor(1, mp_context=context) as process:
            figures = process.submit(ROWS[row]).result()
        for figure in figures:
            target = "" if figure.target is None else f", target {figure.target:g}"
            print(
                f"{figure.what}: {figure.value:.2f} {figure.unit}{target}{'' if figure.met else '  MISSED'}"
            )
            for name, value in figure.detail.items():
                print(f"    {name}: {value:.3f}", flush=True)
        content = [asdict(figure) for figure in figures]
        if options.write:
            report.keep(row, content)
            continue
        failed += [figure.what for figure in figures if not figure.met]
        for slipped in report.slipped(row, content):
            print(f"WORSE  {slipped}")
            failed.append(slipped)
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
