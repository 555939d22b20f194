"""What the engine keeps in memory: any network that restores crops, whatever file it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from bridge.network import checkpoint
from bridge.network.inference import fold
from bridge.network.onnx import OnnxNetwork


class Network(Protocol):
    """A network ready to serve, on its device."""

    size: int
    """Side of input and output in pixels."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """N x 3 x size x size float32, RGB, as `TensorForm.encode` gives it -> the same layout, unbounded."""
        ...


def open_network(
    path: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    device: torch.device | str = "cpu",
) -> Network:
    """Verify a checkpoint and open it by its content, not by its name.

    Args:
        path: safetensors, PyTorch or ONNX.
        sha256: hexadecimal digest that the file must have; None: unknown.
        size: bytes that the file must have; None: unknown.
        device: where the network will run; its input is expected there.

    Raises:
        CheckpointError, or one of its kinds: the file cannot be used; see `checkpoint.load`.
        ExtraMissing: an ONNX file, but no ONNX Runtime.
    """
    checkpoint.verify(path, sha256=sha256, size=size)
    if checkpoint.kind_of(path) == "onnx":
        return OnnxNetwork(path, device=device)
    return fold(checkpoint.assemble(checkpoint.read_state_dict(path)), device=device)
