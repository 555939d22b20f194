from __future__ import annotations

import pytest
import torch

from bridge.network import plain
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN
from bridge.network.inference import InferenceNetwork, fold
from bridge.network.winograd import WinogradConv
from tests.network.conftest import MakeNetwork, pictures

# Wide enough at 32 pixels for the Winograd form.
WIDE = Architecture((8, 8, 8, 66), style_dim=16, mlp_depth=2)


def winograd_layers(network: InferenceNetwork) -> int:
    return sum(isinstance(module, WinogradConv) for module in network.modules())


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("architecture", "tiled"), [(Architecture((12, 8, 10), 16, 2), 0), (WIDE, 1)])
def test_folded_network_answers_as_the_plain_one(
    architecture: Architecture, tiled: int, batch: int, make_network: MakeNetwork
) -> None:
    network = make_network(architecture, 5)
    x = pictures(network.size, batch)
    folded = fold(network)

    assert winograd_layers(folded) == tiled
    with torch.no_grad():
        exact = plain.restore(network.double(), x.double())
    assert exact.std() > 0.5
    torch.testing.assert_close(folded(x).double(), exact, atol=1e-4, rtol=0)


def test_settling_where_it_is_already_makes_no_second_copy(make_network: MakeNetwork) -> None:
    folded = fold(make_network(WIDE, 6))
    tiled = [id(module) for module in folded.modules() if isinstance(module, WinogradConv)]
    occupied = folded.bytes
    folded.settle("cpu")
    assert tiled
    assert [id(module) for module in folded.modules() if isinstance(module, WinogradConv)] == tiled
    assert folded.bytes == occupied


def test_without_winograd_and_with_a_true_batch_it_answers_the_same(make_network: MakeNetwork) -> None:
    network = make_network(WIDE, 6)
    x = pictures(network.size, batch=2)
    with torch.no_grad():
        folded = InferenceNetwork(network)  # not settled: as on a GPU
        assert winograd_layers(folded) == 0
        torch.testing.assert_close(folded._restore(x), network(x), atol=1e-4, rtol=0)


def test_on_a_cpu_neighbours_do_not_change_a_bit(tiny: GPEN) -> None:
    folded = fold(tiny)
    x = pictures(tiny.size, batch=4)
    together = folded(x)
    for i in range(4):
        assert torch.equal(folded(x[i : i + 1])[0], together[i])


def test_folding_leaves_the_network_alone_and_shares_nothing_with_it(tiny: GPEN) -> None:
    before = {key: value.clone() for key, value in tiny.state_dict().items()}
    folded = fold(tiny)
    x = pictures(tiny.size, batch=1)
    answer = folded(x)
    for key, value in tiny.state_dict().items():
        assert torch.equal(value, before[key])
    with torch.no_grad():
        for value in tiny.state_dict().values():
            value.zero_()
    assert torch.equal(folded(x), answer)


def test_answers_carry_no_gradient_and_do_not_touch_the_input(tiny: GPEN) -> None:
    x = pictures(tiny.size, batch=1).requires_grad_()
    before = x.detach().clone()
    answer = fold(tiny)(x)
    assert not answer.requires_grad
    assert torch.equal(x.detach(), before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_it_answers_within_a_level(make_network: MakeNetwork) -> None:
    network = make_network(WIDE, 8)
    x = pictures(network.size, batch=3)
    with torch.no_grad():
        expected = network(x)
    folded = fold(network)
    folded.settle("cuda")
    assert winograd_layers(folded) == 0
    torch.testing.assert_close(folded(x.to("cuda")).cpu(), expected, atol=1 / 255, rtol=0)
