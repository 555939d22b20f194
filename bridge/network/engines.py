"""The engines that can run a GPEN, by name: what each makes of it, and what it lacks here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from bridge.network import onnx
from bridge.network.cuda_graphs import CudaGraphs, require_cuda
from bridge.network.gpen import GPEN
from bridge.network.inference import fold
from bridge.network.ncnn import NcnnGraph, require_ncnn, require_vulkan
from bridge.network.onnx import OnnxGraph
from bridge.network.onnx_file import onnx_bytes, require_onnx

TORCH = "torch"
"""Always there, and what the others are measured by."""


class Restorer(Protocol):
    """The mathematics of one checkpoint, on one device at a time."""

    @property
    def size(self) -> int:
        """Side of input and output in pixels."""

    @property
    def bytes(self) -> int:
        """Memory of the weights."""

    def settle(self, device: torch.device | str) -> object:
        """Move there, in place."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """N x 3 x size x size float32, RGB, in the checkpoint's own form -> the same layout."""


@dataclass(frozen=True)
class Kind:
    """A way to run a network.

    Attributes:
        require: raises ExtraMissing or DeviceUnavailable where that cannot be.
        make: the network, with a folder where it may keep what it builds, turned into what runs.
        package: whose version its speed and its numbers depend on.
        provider: of ONNX Runtime; None: it is another engine, or the device says which.
    """

    require: Callable[[], None]
    make: Callable[[GPEN, Path | None], Restorer]
    package: str = "torch"
    provider: str | None = None

    @property
    def version(self) -> str:
        """Of its package; empty where that goes by another name."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""


def _onnx_kind(provider: str | None) -> Kind:
    def require() -> None:
        onnx.require(provider or onnx.CPU)
        require_onnx()

    def make(network: GPEN, cache: Path | None) -> Restorer:
        return OnnxGraph(onnx_bytes(network), provider=provider, cache=cache)

    return Kind(require, make, "onnxruntime", provider)


KINDS: dict[str, Kind] = {
    TORCH: Kind(lambda: None, lambda network, _: fold(network)),
    "torch-graphs": Kind(require_cuda, lambda network, _: CudaGraphs(fold(network))),
    "ncnn": Kind(require_ncnn, lambda network, _: NcnnGraph(network), "ncnn"),
    "ncnn-vulkan": Kind(require_vulkan, lambda network, _: NcnnGraph(network, vulkan=True), "ncnn"),
    "onnx": _onnx_kind(None),
    "onnx-tensorrt": _onnx_kind(onnx.TENSORRT),
    "onnx-directml": _onnx_kind(onnx.DIRECTML),
    "onnx-coreml": _onnx_kind(onnx.COREML),
}


def suitable(device: str, *, any_gpu: bool) -> tuple[str, ...]:
    """The engines worth a try, `torch` first.

    Args:
        device: where torch runs: cpu, mps, cuda:N.
        any_gpu: the user asked for no device in particular, so a GPU that torch cannot drive is as good.
    """
    if device.startswith("cuda"):
        return (TORCH, "torch-graphs", "onnx", "onnx-tensorrt")
    if device == "mps":
        return (TORCH, "ncnn-vulkan", "onnx-coreml")
    beyond = ("ncnn-vulkan", "onnx-directml") if any_gpu else ()
    return (TORCH, "ncnn", "onnx", *beyond)
