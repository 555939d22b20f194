"""What a GPU makes of the network. Run it and send us the file that it writes.

    python -m benchmarks.gpu [-o gpu.json] [--checkpoint FILE]

For float32, TF32, float16 and bfloat16, with and without CUDA graphs: whether the self-test that every
engine must pass lets it serve, and for passes of 1, 2, 4 and 8 crops the seconds (median of ten after
three to warm up), crops a second and the peak of the device's memory. Half precision is measured, not
served: this family of networks is known to come out wrong in it on some devices, without any error.
Without `--checkpoint`, the bundled GPEN-lite and a 512 network with random weights stand for the rest.
Nothing is sent anywhere, and nothing but names and figures is written: no path, no user, no serial number.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from benchmarks.network import published_architecture
from bridge.config import bundled
from bridge.engine.device import Device, choose, is_out_of_memory
from bridge.engine.runner import Crops, Runner
from bridge.engine.self_test import examine, face_like
from bridge.errors import BridgeError, SelfTestFailed
from bridge.network import checkpoint
from bridge.network.cuda_graphs import CudaGraphs
from bridge.network.form import TensorForm
from bridge.network.gpen import GPEN
from bridge.network.inference import InferenceNetwork, fold
from bridge.network.opened import Network

BATCHES = (1, 2, 4, 8)
WARM_UPS, PASSES = 3, 10
DTYPES = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
NO_GPU = "There is no CUDA GPU that this torch can drive, so there is nothing to measure."


class Gpu(Protocol):
    """What is asked of a device; `Cuda` is the real one."""

    @property
    def device(self) -> Device:
        """As the engine would choose it."""

    def use_tf32(self, wanted: bool) -> None:
        """Whether float32 may be multiplied with 10 bits of mantissa."""

    def wait(self) -> None:
        """Until all that was asked for is done."""

    def forget_peak(self) -> None:
        """Count the peak of the memory from here."""

    def peak(self) -> int:
        """Bytes."""


class Cuda:
    """The first CUDA device."""

    def __init__(self) -> None:
        self.device = choose("cuda")

    def use_tf32(self, wanted: bool) -> None:
        """Of matrix products and of convolutions."""
        torch.backends.cuda.matmul.allow_tf32 = wanted
        torch.backends.cudnn.allow_tf32 = wanted

    def wait(self) -> None:
        """Until all that was asked for is done."""
        torch.cuda.synchronize()

    def forget_peak(self) -> None:
        """Count from here, with nothing kept of earlier passes."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def peak(self) -> int:
        """Bytes that torch had allocated at most."""
        return int(torch.cuda.max_memory_allocated())


class InPrecision:
    """A network that computes in another type than it is spoken to in.

    Args:
        network: taken over.
        dtype: of weights and arithmetic.
        graphs: replay each size of a pass as one CUDA graph.
    """

    def __init__(self, network: InferenceNetwork, dtype: torch.dtype, *, graphs: bool) -> None:
        self.size = network.size
        self._dtype = dtype
        self._network = network
        self._run: Callable[[Tensor], Tensor] = CudaGraphs(network) if graphs else network

    @property
    def bytes(self) -> int:
        """Memory of the weights."""
        return self._network.bytes

    def settle(self, device: torch.device | str) -> None:
        """Move there, in place."""
        self._network.settle(device)
        self._network.to(self._dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """N x 3 x size x size float32 -> the same, float32."""
        return self._run(x.to(self._dtype)).float()


@dataclass(frozen=True)
class Pass:
    """Passes of one size.

    Attributes:
        crops: in a pass.
        seconds: of a pass; None: it did not fit.
        crops_a_second: None: it did not fit.
        peak_bytes: of the device's memory.
    """

    crops: int
    seconds: float | None
    crops_a_second: float | None
    peak_bytes: int | None


@dataclass(frozen=True)
class Variant:
    """One way to compute one network.

    Attributes:
        network: which.
        precision: fp32, tf32, fp16 or bf16.
        graphs: by CUDA graphs.
        difference: largest, from torch in float32 on the CPU; None: it failed.
        problem: why the self-test does not let it serve; None: it does.
        passes: what was timed, also of one that may not serve.
    """

    network: str
    precision: str
    graphs: bool
    difference: float | None
    problem: str | None
    passes: tuple[Pass, ...]


def measured(gpu: Gpu, name: str, network: GPEN, form: TensorForm) -> list[Variant]:
    """Every variant of one network."""
    reference = Runner(Network(fold(network), form), choose("cpu"))
    expected = reference.run(face_like(reference.side))
    variants = []
    for precision, dtype in DTYPES.items():
        for graphs in (False, True):
            gpu.use_tf32(precision == "tf32")
            gpu.forget_peak()
            difference, problem = None, None
            passes: tuple[Pass, ...] = ()
            try:
                runner = Runner(Network(InPrecision(fold(network), dtype, graphs=graphs), form), gpu.device)
                difference, problem = _verdict(runner, expected)
                passes = tuple(_timed(gpu, runner, batch) for batch in BATCHES)
            except Exception as error:  # whatever a driver raises is a finding
                problem = str(error).partition("\n")[0] or type(error).__name__
            variants.append(Variant(name, precision, graphs, difference, problem, passes))
    return variants


def _verdict(runner: Runner, expected: Crops) -> tuple[float | None, str | None]:
    try:
        return examine(runner, expected, exact=False), None
    except SelfTestFailed as error:
        return None, error.detail


def _timed(gpu: Gpu, runner: Runner, batch: int) -> Pass:
    crops = face_like(runner.side).repeat(batch, axis=0)
    gpu.forget_peak()
    seconds = []
    try:
        for number in range(WARM_UPS + PASSES):
            gpu.wait()
            began = time.perf_counter()
            runner.run(crops)
            gpu.wait()
            if number >= WARM_UPS:
                seconds.append(time.perf_counter() - began)
    except (RuntimeError, BridgeError) as error:
        if not is_out_of_memory(error):
            raise
        return Pass(batch, None, None, None)
    median = statistics.median(seconds)
    return Pass(batch, median, batch / median, gpu.peak())


def networks(file: Path | None) -> list[tuple[str, GPEN, TensorForm]]:
    """What is measured: name, network, and what it takes and gives."""
    if file is not None:
        return [(file.stem, checkpoint.assemble(checkpoint.read_state_dict(file)), TensorForm())]
    lite = bundled("weights") / "gpen-lite-256.safetensors"
    torch.manual_seed(0)
    return [
        (
            "gpen-lite-256",
            checkpoint.assemble(checkpoint.read_state_dict(lite)),
            TensorForm(output="residual"),
        ),
        ("random-512", GPEN(published_architecture(512)).eval(), TensorForm()),
    ]


def report(gpu: Gpu, variants: list[Variant]) -> dict[str, Any]:
    """What is written: the machine by name, and every figure."""
    return {
        "gpu": gpu.device.title,
        "driver": gpu.device.driver,
        "torch": torch.__version__,
        "system": platform.platform(),
        "variants": [asdict(variant) for variant in variants],
    }


def table(variants: list[Variant]) -> str:
    """For people: times float32 without graphs, at one crop a pass."""
    lines = ["| network | precision | graphs | times fp32 | self-test |", "|---|---|---|---|---|"]
    plain = {
        v.network: v.passes[0].seconds
        for v in variants
        if (v.precision, v.graphs) == ("fp32", False) and v.passes
    }
    for variant in variants:
        own, base = (variant.passes[0].seconds if variant.passes else None), plain.get(variant.network)
        times = f"{base / own:.2f}" if own and base else ""
        verdict = f"differs by {variant.difference:.1e}" if variant.problem is None else variant.problem
        graphs = "yes" if variant.graphs else "no"
        lines.append(f"| {variant.network} | {variant.precision} | {graphs} | {times} | {verdict} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None, gpu: Gpu | None = None) -> int:
    """Measure, print and write; 1 where there is nothing to measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu.json"))
    parser.add_argument("--checkpoint", type=Path)
    options = parser.parse_args(arguments)
    if gpu is None:
        if not torch.cuda.is_available():
            print(NO_GPU, file=sys.stderr)
            return 1
        gpu = Cuda()
    variants = [
        variant
        for name, network, form in networks(options.checkpoint)
        for variant in measured(gpu, name, network, form)
    ]
    options.output.write_text(json.dumps(report(gpu, variants), indent=1) + "\n")
    print(f"{gpu.device.title}, {gpu.device.driver}\n\n{table(variants)}\n\nWritten: {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
