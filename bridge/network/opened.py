"""What the engine keeps resident: a network that restores crops, whatever file it came from."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from bridge.network import checkpoint
from bridge.network.engines import KINDS, TORCH, Restorer
from bridge.network.form import TensorForm
from bridge.network.onnx import OnnxGraph


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
    path: Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    form: TensorForm | None = None,
    engine: str = TORCH,
    cache: Path | None = None,
) -> Network:
    """Verify a checkpoint and open it on the CPU, by its content and not by its name.

    Args:
        path: safetensors, PyTorch or ONNX.
        sha256: hexadecimal digest that the file must have; None: unknown.
        size: bytes that the file must have; None: unknown.
        form: what the network takes and gives; None: as the published GPEN-BFR.
        engine: what runs it, one of `KINDS`. An ONNX file is run by ONNX Runtime whatever this says.
        cache: folder where an engine may keep what it builds; None: nowhere.

    Raises:
        CheckpointError, or one of its kinds: the file cannot be used; see `checkpoint.load`.
        ExtraMissing: the engine's extra is not installed.
        DeviceUnavailable: the engine lacks the device that it is for.
    """
    kind = KINDS[engine]
    checkpoint.verify(path, sha256=sha256, size=size)
    restorer: Restorer
    if checkpoint.kind_of(path) == "onnx":
        restorer = OnnxGraph(path, provider=kind.provider, cache=cache)
    else:
        kind.require()
        restorer = kind.make(checkpoint.assemble(checkpoint.read_state_dict(path)), cache)
    return Network(restorer, form or TensorForm())
