"""The engine with a tiny real network: what holds for GPEN itself, not for a fake."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge.engine.device import Device, choose
from bridge.engine.engine import Engine
from bridge.network import checkpoint
from bridge.network.architecture import Architecture
from bridge.network.form import TensorForm
from bridge.network.gpen import GPEN
from bridge.network.opened import open_network
from tests.engine.fakes import CPU, GPU, some_crops

SIDE = 32


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    network = GPEN(Architecture((8,) * (SIDE.bit_length() - 2), style_dim=16, mlp_depth=2))
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(network.state_dict(), path, {})
    return path


def test_the_answer_is_the_networks_own(weights: Path) -> None:
    crops = some_crops(2, SIDE)
    with Engine(lambda name: open_network(weights), CPU) as engine:
        restored = engine.restore("tiny", crops)
    with torch.no_grad():
        signed = torch.from_numpy(crops).permute(0, 3, 1, 2) * 2 - 1
        expected = checkpoint.load(weights)(signed).permute(0, 2, 3, 1) * 0.5 + 0.5
    np.testing.assert_allclose(restored, expected.numpy(), atol=1e-4)


def test_a_residual_network_adds_to_the_crop(weights: Path) -> None:
    crops = some_crops(1, SIDE)
    forms = {"picture": TensorForm(), "change": TensorForm(output="residual")}
    with Engine(lambda name: open_network(weights, form=forms[name]), CPU) as engine:
        picture, changed = engine.restore("picture", crops), engine.restore("change", crops)
    np.testing.assert_allclose(changed, picture + crops - 0.5, atol=1e-5)


def test_on_a_cpu_a_result_does_not_depend_on_its_company_by_a_single_bit(weights: Path) -> None:
    crops = some_crops(24, SIDE)
    with Engine(lambda name: open_network(weights), CPU) as engine:
        together = engine.restore("tiny", crops)
        with ThreadPoolExecutor(6) as pool:
            alone = list(pool.map(lambda crop: engine.restore("tiny", crop[None])[0], crops))
    np.testing.assert_array_equal(np.stack(alone), together)


def test_in_larger_passes_it_differs_by_less_than_one_level(weights: Path) -> None:
    crops = some_crops(24, SIDE)
    with Engine(lambda name: open_network(weights), GPU) as engine:
        together = engine.restore("tiny", crops)
        alone = np.concatenate([engine.restore("tiny", crop[None]) for crop in crops])
    assert np.abs(alone - together).max() < 1 / 255


@pytest.mark.parametrize("device", [CPU, GPU])
def test_it_passes_its_self_test(weights: Path, device: Device) -> None:
    with Engine(lambda name: open_network(weights), device) as engine:
        engine.warm_up("tiny")
        assert engine.resident() == ["tiny"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_it_passes_its_self_test_on_cuda(weights: Path) -> None:
    with Engine(lambda name: open_network(weights), choose("cuda")) as engine:
        engine.warm_up("tiny")
        assert np.isfinite(engine.restore("tiny", some_crops(20, SIDE))).all()
