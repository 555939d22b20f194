from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bridge.errors import DeviceUnavailable
from bridge.network.cuda_graphs import CudaGraphs, require_cuda
from bridge.network.gpen import GPEN
from bridge.network.inference import fold
from tests.network.conftest import pictures


class FakeCapture:
    """Records on the CPU: a replay does the work again, into the same memory as the first time."""

    def __init__(self) -> None:
        self.recordings = 0

    def __call__(self, work: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        self.recordings += 1
        outcome = work().clone()
        return lambda: outcome.copy_(work()), outcome


def test_each_size_of_a_pass_is_recorded_once_and_replayed(tiny: GPEN) -> None:
    capture, plain = FakeCapture(), fold(tiny)
    graphs = CudaGraphs(fold(tiny), capture)
    for batch, seed in ((1, 0), (1, 1), (3, 2), (1, 3), (3, 4)):
        x = pictures(tiny.size, batch, seed)
        assert torch.equal(graphs.replayed(x), plain(x))
    assert capture.recordings == 2


def test_an_answer_outlives_the_next_pass(tiny: GPEN) -> None:
    graphs = CudaGraphs(fold(tiny), FakeCapture())
    first = graphs.replayed(pictures(tiny.size, 1, seed=0))
    kept = first.clone()
    graphs.replayed(pictures(tiny.size, 1, seed=1))
    assert torch.equal(first, kept)


def test_off_cuda_nothing_is_recorded_and_moving_forgets(tiny: GPEN) -> None:
    capture = FakeCapture()
    graphs = CudaGraphs(fold(tiny), capture)
    x = pictures(tiny.size, 1)
    assert torch.equal(graphs(x), fold(tiny)(x))
    assert capture.recordings == 0
    graphs.replayed(x)
    graphs.settle("cpu")
    graphs.replayed(x)
    assert capture.recordings == 2
    assert graphs.bytes == fold(tiny).bytes


def test_without_cuda_it_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceUnavailable):
        require_cuda()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_replays_answer_as_the_network_does(tiny: GPEN) -> None:
    graphs, plain = CudaGraphs(fold(tiny)), fold(tiny)
    graphs.settle("cuda")
    plain.settle("cuda")
    for batch in (1, 4, 1):
        x = pictures(tiny.size, batch).to("cuda")
        torch.testing.assert_close(graphs(x), plain(x), atol=1e-3, rtol=0)
