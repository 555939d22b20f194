"""Small networks whose every parameter matters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN

MakeNetwork = Callable[[Architecture, int], GPEN]

TINY = Architecture((12, 8, 10), style_dim=16, mlp_depth=2)


def network_with_every_weight_at_work(architecture: Architecture, seed: int) -> GPEN:
    """A network whose biases and gains, which start at 0 or 1, are random too."""
    generator = torch.Generator().manual_seed(seed)
    network = GPEN(architecture)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            middle = 1.0 if "modulation.bias" in name else 0.0
            spread = 100.0 if "generator.style" in name and name.endswith("weight") else 1.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread + middle)
    return network


@pytest.fixture
def make_network() -> MakeNetwork:
    return network_with_every_weight_at_work


@pytest.fixture
def tiny(make_network: MakeNetwork) -> GPEN:
    return make_network(TINY, 7)


def pictures(size: int, batch: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
