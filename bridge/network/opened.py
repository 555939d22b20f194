"""What the engine keeps resident: a network that restores crops, whatever file it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from bridge.network import checkpoint
from bridge.network.form import TensorForm
from bridge.network.inference import InferenceNetwork, fold
from bridge.network.onnx import OnnxGraph


class Restorer(Protocol):
    """The mathematics of one checkpoint, on one device at a time; `fold` and `OnnxGraph` make them."""

    size: int

    @property
    def bytes(self) -> int:
        """Memory of the weights."""

    def settle(self, device: torch.device | str) -> object:
        """Move there, in place."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """N x 3 x size x size float32, RGB, in the checkpoint's own form -> the same layout."""


class Network:
    """A checkpoint that is open: `[-1, 1]` in, the picture out. Starts on the CPU.

    Args:
        restorer: taken over.
        form: what the restorer takes and gives.
    """

    def __init__(self, restorer: Restorer, form: TensorForm) -> None:
        self._restorer = restorer
        self._form = form

    @property
    def size(self) -> int:
        """Side of input and output in pixels."""
        return self._restorer.size

    @property
    def bytes(self) -> int:
        """Memory of the weights."""
        return self._restorer.bytes

    def to(self, device: torch.device | str) -> None:
        """Move the weights there, in place."""
        self._restorer.settle(device)

    def __call__(self, crops: Tensor, /) -> Tensor:
        """Restore.

        Args:
            crops: N x 3 x size x size float32, RGB, [-1, 1], on the network's device. Not modified.

        Returns:
            The restored picture, same layout, not clipped.
        """
        encoded = self._form.encode(crops)
        return self._form.decode(self._restorer(encoded), encoded)


def open_network(
    path: Path, *, sha256: str | None = None, size: int | None = None, form: TensorForm | None = None
) -> Network:
    """Verify a checkpoint and open it on the CPU, by its content and not by its name.

    Args:
        path: safetensors, PyTorch or ONNX.
        sha256: hexadecimal digest that the file must have; None: unknown.
        size: bytes that the file must have; None: unknown.
        form: what the network takes and gives; None: as the published GPEN-BFR.

    Raises:
        CheckpointError, or one of its kinds: the file cannot be used; see `checkpoint.load`.
        ExtraMissing: an ONNX file, but no ONNX Runtime.
    """
    checkpoint.verify(path, sha256=sha256, size=size)
    restorer: InferenceNetwork | OnnxGraph
    if checkpoint.kind_of(path) == "onnx":
        restorer = OnnxGraph(path)
    else:
        restorer = fold(checkpoint.assemble(checkpoint.read_state_dict(path)))
    return Network(restorer, form or TensorForm())
