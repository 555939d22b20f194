"""The engines side by side, and beside the constant-weight network in plain torch eager.

    python -m benchmarks.engines [--size 512] [--rounds 5] [--threads N] [--engines torch ncnn onnx]

Each has a process of its own, so that neither allocator nor threads of one disturb another; they are
told to take turns, a pass at a time, so that a busy machine slows all of them. `eager` is `GPEN` without
gradients, channels last, under the allocator as it comes: what one would write without an engine.
`eager, keep` is the same under `bridge.engine.allocator.keep_large_buffers`, as all engines run on glibc.
`sgemm` multiplies two 2048 x 2048 matrices by torch: its rate is what this machine gives at the moment.

Medians of the wall clock and of the processor time. The share of the sgemm rate counts the arithmetic
of direct convolution, so that Winograd's can exceed 100 %. Weights and input are seeded noise.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

SGEMM_SIDE = 2048
EAGER, EAGER_KEEP, SGEMM = "eager", "eager, keep", "sgemm"
Seconds = tuple[float, float]
"""Of the wall clock and of the processor."""


def work_of(form: str, size: int) -> tuple[Callable[[], Tensor], float]:
    """What a form repeats, and the arithmetic of one pass in GFLOP."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from benchmarks.network import published_architecture
    from bridge.network.engines import KINDS
    from bridge.network.gpen import GPEN

    torch.manual_seed(0)
    if form == SGEMM:
        a, b = torch.rand(2, SGEMM_SIDE, SGEMM_SIDE)
        return lambda: a @ b, 2e-9 * SGEMM_SIDE**3
    network = GPEN(published_architecture(size)).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(1.0 if "modulation" in name else 0.0, 0.3)
    x = (torch.rand(1, 3, size, size) * 2 - 1).contiguous(memory_format=torch.channels_last)
    counter = FlopCounterMode(display=False)
    with torch.device("meta"):
        shape_only = GPEN(published_architecture(size)).eval()
    with counter, torch.no_grad():
        shape_only(x.to("meta"))
    gigaflop = counter.get_total_flops() / 1e9
    if form in (EAGER, EAGER_KEEP):
        return lambda: network(x), gigaflop
    KINDS[form].require()
    restorer = KINDS[form].make(network, None)
    return lambda: restorer(x), gigaflop


def serve(form: str, size: int, threads: int, wire: Connection) -> None:
    """Child process: a pass for each word, until the wire closes."""
    import torch

    from bridge.engine.allocator import keep_large_buffers

    if form != EAGER:
        keep_large_buffers()
    torch.set_num_threads(threads)
    with torch.inference_mode():
        work, gigaflop = work_of(form, size)
        answer = work()
        wire.send((answer.numpy().copy() if form != SGEMM else None, gigaflop))
        while wire.recv():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            wire.send((time.perf_counter() - wall, time.process_time() - processor))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wire.send(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=512, choices=(256, 512, 1024))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--engines", nargs="*", default=["torch", "ncnn", "onnx"])
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    wires: dict[str, Connection] = {}
    answers: dict[str, Any] = {}
    gigaflop: dict[str, float] = {}
    for form in [SGEMM, EAGER, EAGER_KEEP, *options.engines]:
        ours, theirs = context.Pipe()
        arguments = (form, options.size, options.threads, theirs)
        context.Process(target=serve, args=arguments, daemon=True).start()
        theirs.close()
        wires[form] = ours
        answers[form], gigaflop[form] = ours.recv()
    taken: dict[str, list[Seconds]] = {form: [] for form in wires}
    for _ in range(options.rounds):
        for form, wire in wires.items():
            wire.send(True)
            taken[form].append(wire.recv())
    medians = {
        form: tuple(statistics.median(kind) for kind in zip(*times, strict=True))
        for form, times in taken.items()
    }
    tell(options, medians, answers, gigaflop, wires)


def tell(
    options: argparse.Namespace,
    medians: dict[str, tuple[float, ...]],
    answers: dict[str, Any],
    gigaflop: dict[str, float],
    wires: dict[str, Connection],
) -> None:
    """The table."""
    from bridge.engine.device import choose

    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{choose('cpu').title}, {platform.platform()}, {options.threads} threads, ", end="")
    print(f"{options.rounds} rounds{load}; the {options.size} network, {gigaflop[EAGER]:.0f} GFLOP a pass.")
    rates = [gigaflop[SGEMM] / seconds for seconds in medians[SGEMM]]
    print(f"sgemm: {rates[0]:.0f} GFLOP/s by the wall clock, {rates[1]:.0f} by processor time.\n")
    print(
        "| engine | wall s | CPU s | times eager, wall | CPU "
        "| share of sgemm, wall | CPU | differs by | peak MiB |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for form, wire in wires.items():
        wire.send(False)
        peak = wire.recv()
        if form == SGEMM:
            continue
        times = [eager / own for eager, own in zip(medians[EAGER], medians[form], strict=True)]
        shares = [gigaflop[form] / own / rate for own, rate in zip(medians[form], rates, strict=True)]
        difference = abs(answers[form] - answers[EAGER]).max()
        print(
            f"| {form} | {medians[form][0]:.2f} | {medians[form][1]:.2f} | {times[0]:.2f} | {times[1]:.2f} "
            f"| {shares[0]:.0%} | {shares[1]:.0%} | {difference:.0e} | {peak:.0f} |"
        )


if __name__ == "__main__":
    main()
