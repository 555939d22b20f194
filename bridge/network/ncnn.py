"""GPEN run by ncnn: on processors, and through Vulkan on GPUs of any maker.

Writes the graph in ncnn's own format (a list of layers as text, their weights as numbers one after the
other) and runs it. Imports `ncnn` only when a graph is made: it is an optional extra.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from bridge.errors import DeviceOutOfMemory, DeviceUnavailable, EngineError, ExtraMissing
from bridge.network.gpen import GPEN
from bridge.network.graph import write
from bridge.network.inference import InferenceNetwork
from bridge.network.layers import SLOPE

MAGIC = 7767517  # first line of every graph
FLOAT32_TAG = bytes(4)  # precedes weights that could have been stored smaller
LEAKY_RELU = f"9=2 -23310=1,{SLOPE}"  # the activation of a layer that has one
MULTIPLIED, ADDED = 2, 0  # kinds of BinaryOp
SQUARED, INVERSE_ROOT = 4, 6  # kinds of UnaryOp
PROBE_SECONDS = 30  # a driver's first start can take some
TRANSFORMED = 2  # memory of the weights together with Winograd's form of some, times their own size


def require_ncnn() -> None:
    """Raises ExtraMissing: ncnn is not installed."""
    _ncnn()


def require_vulkan() -> None:
    """Raises ExtraMissing: ncnn is not installed; DeviceUnavailable: no GPU has a Vulkan driver."""
    _ncnn()
    if sys.platform.startswith("linux"):  # there ncnn complains on stderr when the loader is missing
        try:
            ctypes.CDLL("libvulkan.so.1")
        except OSError as error:
            raise DeviceUnavailable("No GPU with a Vulkan driver was found.") from error
    if fault := vulkan_fault():
        raise DeviceUnavailable(fault)


@lru_cache
def vulkan_fault() -> str | None:
    """Why Vulkan cannot be used; None if it can.

    Asked in a process of its own: a driver that is broken, or half there, ends the one that asks.
    """
    question = "import ncnn; print(ncnn.get_gpu_count())"
    try:
        answer = subprocess.run(  # noqa: S603 - our own words, to this very interpreter
            [sys.executable, "-c", question],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"The Vulkan driver gave no answer: {error}."
    if answer.returncode:
        return f"The Vulkan driver ended the process that asked for a GPU ({answer.returncode})."
    count = answer.stdout.split()[-1:] or ["0"]
    return None if count[0].isdecimal() and int(count[0]) else "No GPU with a Vulkan driver was found."


class NcnnGraph:
    """A network that ncnn runs.

    Args:
        network: not modified and not kept.
        vulkan: on the first GPU instead of the processor.

    Raises:
        ExtraMissing, DeviceUnavailable: see `require_ncnn` and `require_vulkan`.
        EngineError: ncnn does not take the graph.
    """

    def __init__(self, network: GPEN, *, vulkan: bool = False) -> None:
        ncnn = _ncnn()
        if vulkan:
            require_vulkan()
        self.size = network.size
        self._net: Any = ncnn.Net()
        options = self._net.opt
        options.num_threads = torch.get_num_threads()
        options.use_vulkan_compute = vulkan
        for half in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            setattr(options, f"use_{half}", False)
        # In a file, because ncnn's Python door takes weights in no other way.
        with tempfile.TemporaryDirectory(prefix="gpen-") as folder:
            weights = Path(folder) / "weights.bin"
            with weights.open("wb") as file:
                writer = _Writer(file)
                with torch.no_grad():
                    self._input, self._output = write(InferenceNetwork(network), writer)
            self.bytes = TRANSFORMED * weights.stat().st_size
            if self._net.load_param_mem(writer.layers()) or self._net.load_model(str(weights)):
                raise EngineError("ncnn did not take the network.")

    def settle(self, device: torch.device | str) -> None:
        """Nothing: where it runs was said when it was made."""

    def __call__(self, x: Tensor) -> Tensor:
        """N x 3 x size x size float32, RGB -> the same layout, on the device of `x`; one by one."""
        return torch.stack([self._restore(one) for one in x.cpu()]).to(x.device)

    def _restore(self, x: Tensor) -> Tensor:
        ncnn = _ncnn()
        pixels = np.ascontiguousarray(x.numpy())  # ncnn reads it in place
        # Pools of this pass alone: those of ncnn's own would keep their memory until the network goes.
        pools = (ncnn.PoolAllocator(), ncnn.PoolAllocator())
        extractor = self._net.create_extractor()
        extractor.set_blob_allocator(pools[0])
        extractor.set_workspace_allocator(pools[1])
        extractor.input(self._input, ncnn.Mat(pixels))
        failed, answer = extractor.extract(self._output)
        if failed:
            # -100 is what its allocators' failure comes out as.
            raise (DeviceOutOfMemory if failed == -100 else EngineError)(f"ncnn failed with {failed}.")
        restored = torch.from_numpy(np.array(answer))
        del answer
        extractor.clear()
        for pool in pools:
            pool.clear()
        return restored


class _Writer:
    """The `GraphWriter` of ncnn: weights go to a file at once, layers are collected."""

    def __init__(self, weights: IO[bytes]) -> None:
        self._weights = weights
        self._layers: list[tuple[str, Sequence[str], str, str]] = []

    def layers(self) -> str:
        """The graph as text. A blob may have one reader only, so for more of them copies are named."""
        readers = Counter(name for _, inputs, _, _ in self._layers for name in inputs)
        read: Counter[str] = Counter()
        lines: list[str] = []
        blobs = 0
        for kind, inputs, output, parameters in self._layers:
            sources = []
            for name in inputs:
                sources.append(f"{name}.{read[name]}" if readers[name] > 1 else name)
                read[name] += 1
            lines.append(_line(kind, len(lines), sources, [output], parameters))
            blobs += 1
            if readers[output] > 1:
                copies = [f"{output}.{number}" for number in range(readers[output])]
                lines.append(_line("Split", len(lines), [output], copies, ""))
                blobs += len(copies)
        return "\n".join([str(MAGIC), f"{len(lines)} {blobs}", *lines, ""])

    def picture(self, channels: int, side: int) -> str:
        return self._layer("Input", [], f"0={side} 1={side} 2={channels}")

    def constant(self, value: Tensor) -> str:
        _, channels, height, width = value.shape
        self._weights.write(_numbers(value))
        return self._layer("MemoryData", [], f"0={width} 1={height} 2={channels}")

    def convolution(
        self,
        x: str,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        activated: bool = False,
    ) -> str:
        self._store(weight, bias)
        kind = "Convolution" if groups == 1 else "ConvolutionDepthWise"
        shape = f"0={len(weight)} 1={weight.shape[-1]} 3={stride} 4={padding} 5={int(bias is not None)}"
        rest = f" 6={weight.numel()} 7={groups} {LEAKY_RELU if activated else ''}"
        return self._layer(kind, [x], shape + rest)

    def transposed(self, x: str, weight: Tensor, *, padding: int = 0, groups: int = 1) -> str:
        outputs = weight.shape[1] * groups
        # ncnn wants outputs before inputs; with one output to a group they are that way already.
        weight = weight.transpose(0, 1) if groups == 1 else weight
        self._store(weight, None)
        kind = "Deconvolution" if groups == 1 else "DeconvolutionDepthWise"
        shape = f"0={outputs} 1={weight.shape[-1]} 3=2 4={padding} 5=0 6={weight.numel()} 7={groups}"
        return self._layer(kind, [x], shape)

    def linear(self, x: str, weight: Tensor, bias: Tensor, *, activated: bool = False) -> str:
        self._store(weight, bias)
        shape = f"0={len(weight)} 1=1 2={weight.numel()} {LEAKY_RELU if activated else ''}"
        return self._layer("InnerProduct", [x], shape)

    def flatten(self, x: str) -> str:
        return self._layer("Flatten", [x])

    def square(self, x: str) -> str:
        return self._layer("UnaryOp", [x], f"0={SQUARED}")

    def inverse_root(self, x: str) -> str:
        return self._layer("UnaryOp", [x], f"0={INVERSE_ROOT}")

    def multiply(self, x: str, y: str) -> str:
        return self._layer("BinaryOp", [x, y], f"0={MULTIPLIED}")

    def scale(self, x: str, factors: str) -> str:
        return self.multiply(x, self._layer("Reshape", [factors], "0=1 1=1 2=-1"))

    def finish(self, x: str, factors: str, bias: Tensor) -> str:
        # The three layers that work in place; -233 stands for factors that come as an input.
        x = self._layer("Scale", [x, factors], "0=-233")
        self._weights.write(_numbers(bias))
        return self._layer("ReLU", [self._layer("Bias", [x], f"0={len(bias)}")], f"0={SLOPE}")

    def add(self, x: str, y: str) -> str:
        return self._layer("BinaryOp", [x, y], f"0={ADDED}")

    def concatenate(self, x: str, y: str) -> str:
        return self._layer("Concat", [x, y])

    def _layer(self, kind: str, inputs: Sequence[str], parameters: str = "") -> str:
        output = f"b{len(self._layers)}"
        self._layers.append((kind, inputs, output, parameters))
        return output

    def _store(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weights.write(FLOAT32_TAG + _numbers(weight))
        if bias is not None:
            self._weights.write(_numbers(bias))


def _line(kind: str, number: int, inputs: Sequence[str], outputs: Sequence[str], parameters: str) -> str:
    return f"{kind} l{number} {len(inputs)} {len(outputs)} {' '.join([*inputs, *outputs])} {parameters}"


def _numbers(values: Tensor) -> bytes:
    return np.ascontiguousarray(values.detach().numpy(), np.dtype("<f4")).tobytes()


def _ncnn() -> Any:
    try:
        import ncnn
    except ImportError as error:
        raise ExtraMissing("The ncnn engine needs: pip install 'gpen-enhance[ncnn]'.") from error
    return ncnn
