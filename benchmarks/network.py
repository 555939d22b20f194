"""The network's forms side by side: how fast, how close, under which allocator.

    python -m benchmarks.network [--size 512] [--rounds 5] [--threads N]

`plain` builds a weight for each sample and runs grouped convolutions and 4 x 4 FIR filters by their
definition, as the research code does where its CUDA kernels do not load. `trainable` is `GPEN`
without gradients, `folded` what serves. The weights are seeded noise: they cost the same as real ones.

The forms take turns, so that a busy machine slows all of them; medians are printed, of the wall
clock and of the processor time (user and system, which another program's load disturbs less).
Everything is measured twice, each time in a fresh process: with the allocator as it comes, and with
`bridge.engine.allocator.keep_large_buffers`, as the engine runs on glibc. The last line sets what serves
beside what one would have had: `folded` with the latter, `plain` with the former.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from bridge.engine.allocator import keep_large_buffers
from bridge.engine.device import choose
from bridge.network import plain
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN
from bridge.network.inference import fold

ALLOCATORS = {
    "default": "the system's allocator as it comes",
    "keep": "keep_large_buffers: glibc mallopt, M_MMAP_THRESHOLD 1 GiB, M_TRIM_THRESHOLD 2 GiB, one arena",
}


Medians = dict[str, tuple[float, float]]
"""Seconds of wall clock and of processor time, by form."""


def measure(
    size: int, rounds: int, threads: int, allocator: str, told: multiprocessing.Queue[Medians]
) -> None:
    """Print one table, for this process's allocator, and tell its medians."""
    print(f"Allocator: {ALLOCATORS[allocator]}\n")
    if allocator == "keep":
        keep_large_buffers()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = GPEN(published_architecture(size)).eval()
    with torch.no_grad():
        # Every weight at work, so that a folding error cannot hide behind a zero.
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(1.0 if "modulation" in name else 0.0, 0.3)
    folded = fold(network)
    x = torch.rand(1, 3, size, size) * 2 - 1
    channels_last = x.contiguous(memory_format=torch.channels_last)
    forms: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: plain.restore(network, x),
        "trainable": lambda: network(channels_last),
        "folded": lambda: folded(x),
    }
    wall: dict[str, list[float]] = {name: [] for name in forms}
    processor: dict[str, list[float]] = {name: [] for name in forms}
    with torch.inference_mode():
        answers = {name: form() for name, form in forms.items()}  # the warm-up
        for _ in range(rounds):
            for name, form in forms.items():
                wall_before, processor_before = time.perf_counter(), time.process_time()
                form()
                wall[name].append(time.perf_counter() - wall_before)
                processor[name].append(time.process_time() - processor_before)
    spread = float(answers["plain"].std())
    print("| form | wall s | times plain | processor s | times plain | largest difference from plain |")
    print("|---|---|---|---|---|---|")
    medians = {name: (statistics.median(wall[name]), statistics.median(processor[name])) for name in forms}
    for name, (wall_median, processor_median) in medians.items():
        wall_ratio, processor_ratio = (
            medians["plain"][0] / wall_median,
            medians["plain"][1] / processor_median,
        )
        difference = float((answers[name] - answers["plain"]).abs().max())
        print(
            f"| {name} | {wall_median:.2f} | {wall_ratio:.2f} | {processor_median:.2f} "
            f"| {processor_ratio:.2f} | {difference:.1e} |"
        )
    print(
        f"\n{rounds} rounds, {threads} threads; outputs have a standard deviation of {spread:.1f}.\n",
        flush=True,
    )
    told.put(medians)


def published_architecture(size: int) -> Architecture:
    """The published network of that size."""
    return Architecture.from_multipliers(size, *((1, 0.5) if size <= 256 else (2, 1)))


def main() -> None:
    """Measure under both allocators."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=choose("cpu").threads)
    options = parser.parse_args()
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"torch {torch.__version__}, {choose('cpu').title}, {platform.platform()}{load}\n", flush=True)
    context = multiprocessing.get_context("spawn")
    told: multiprocessing.Queue[Medians] = context.Queue()
    medians: dict[str, Medians] = {}
    for allocator in ALLOCATORS:
        work = (options.size, options.rounds, options.threads, allocator, told)
        child = context.Process(target=measure, args=work)
        child.start()
        medians[allocator] = told.get()
        child.join()
    (wall, processor), (best_wall, best_processor) = medians["default"]["plain"], medians["keep"]["folded"]
    print(
        f"As served (folded, keep) beside plain as it comes: {wall / best_wall:.2f} times by the wall clock, "
        f"{processor / best_processor:.2f} times by processor time."
    )


if __name__ == "__main__":
    main()
