"""One network on one device: crops in, crops out.

Owns the way from NumPy to the device and back, and the check of what comes back. This is the
engine's small interface to whatever computes (`side`, `bytes`, `run`); knows no queue and no files.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from bridge.engine.device import Device
from bridge.errors import EngineError

Crops = NDArray[np.float32]
"""N x S x S x 3 float32, RGB, sRGB-encoded; [0, 1] on the way in, unclipped on the way out."""


class OpenedNetwork(Protocol):
    """What the engine needs of a network: `bridge.network.checkpoint.Network` is one."""

    @property
    def size(self) -> int:
        """Side of input and output in pixels."""

    @property
    def bytes(self) -> int:
        """Memory of the weights."""

    def to(self, device: str) -> object:
        """Move the weights there, in place."""

    def __call__(self, crops: torch.Tensor, /) -> torch.Tensor:
        """N x 3 x S x S float32, RGB, [-1, 1] -> the same layout, the restored picture, unclipped."""


class Runner:
    """A network that is resident on a device. Only the thread that made it may touch it.

    Args:
        network: taken over; nobody else may use it.
    """

    def __init__(self, network: OpenedNetwork, device: Device) -> None:
        network.to(device.name)
        self._network = network
        self._device = device

    @property
    def side(self) -> int:
        """S, in pixels."""
        return self._network.size

    @property
    def bytes(self) -> int:
        """Memory that it occupies between passes."""
        return self._network.bytes

    def crop_bytes(self) -> int | None:
        """Memory of the device that a crop takes in a pass, measured on one; None where nobody can tell.

        Raises:
            torch.OutOfMemoryError, RuntimeError: as `run`.
        """
        if not self._device.counts_memory:
            return None
        crop = np.zeros((1, self.side, self.side, 3), np.float32)
        most = self._device.most_held(lambda: self.run(crop))
        # Networks that bring an allocator of their own show torch no more than what goes in and out.
        return most if most > 4 * crop.nbytes else None

    def run(self, crops: Crops) -> Crops:
        """One pass over N crops of this side.

        Args:
            crops: N x S x S x 3 in [0, 1]. Not modified.

        Returns:
            A new array of the same shape, unclipped.

        Raises:
            EngineError: the network gave another shape.
            torch.OutOfMemoryError, RuntimeError: whatever the device has to say.
        """
        signed = np.ascontiguousarray(crops.transpose(0, 3, 1, 2)) * np.float32(2) - np.float32(1)
        with torch.inference_mode():
            output = self._network(torch.from_numpy(signed).to(self._device.name)).to("cpu", torch.float32)
        if output.shape != signed.shape:
            raise EngineError(f"The network gave {tuple(output.shape)} for {signed.shape}.")
        return np.ascontiguousarray(output.numpy().transpose(0, 2, 3, 1)) * np.float32(0.5) + np.float32(0.5)
