"""The inference network on CUDA, with each pass launched as a whole.

A pass is some hundred short kernels; recorded once for each size of a batch and replayed, they cost the
processor one launch. Knows nothing of what the network computes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bridge.errors import DeviceUnavailable
from bridge.network.inference import InferenceNetwork

WARM_UPS = 3  # passes in which cuDNN settles on its algorithms, before one is recorded

Capture = Callable[[Callable[[], Tensor]], tuple[Callable[[], object], Tensor]]
"""Records some work; returns what repeats it, and the tensor that holds the outcome after each time."""


def require_cuda() -> None:
    """Raises DeviceUnavailable: torch cannot drive a CUDA device here."""
    if not torch.cuda.is_available():
        raise DeviceUnavailable("CUDA graphs need a CUDA device.")


@dataclass(frozen=True)
class _Recorded:
    source: Tensor
    replay: Callable[[], object]
    outcome: Tensor


class CudaGraphs:
    """A network whose passes on CUDA are recorded and replayed; elsewhere it is run as it is.

    Args:
        network: taken over.
        capture: how work is recorded; the default is CUDA's.
    """

    def __init__(self, network: InferenceNetwork, capture: Capture | None = None) -> None:
        self.size = network.size
        self._network = network
        self._capture = capture or _CudaCapture()
        self._recorded: dict[int, _Recorded] = {}

    @property
    def bytes(self) -> int:
        """Memory of the weights."""
        return self._network.bytes

    def settle(self, device: torch.device | str) -> None:
        """Move there, in place; what was recorded elsewhere is dropped."""
        self._recorded.clear()
        self._network.settle(device)

    def __call__(self, x: Tensor) -> Tensor:
        """N x 3 x size x size float32, RGB -> the same layout, a tensor of its own."""
        if x.device.type != "cuda":
            return self._restore(x)
        return self.replayed(x)

    def replayed(self, x: Tensor) -> Tensor:
        """As a call on CUDA: recorded at the first time of this N."""
        if len(x) not in self._recorded:
            source = x.clone()
            replay, outcome = self._capture(lambda: self._restore(source))
            self._recorded[len(x)] = _Recorded(source, replay, outcome)
        recorded = self._recorded[len(x)]
        recorded.source.copy_(x)
        recorded.replay()
        return recorded.outcome.clone()  # the next replay, of any N, overwrites it

    def _restore(self, x: Tensor) -> Tensor:
        answer: Tensor = self._network(x)
        return answer


class _CudaCapture:
    """CUDA's recording. All recordings share their memory, since they are never replayed at once."""

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch has no types for it
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            outcome = work()
        return graph.replay, outcome
