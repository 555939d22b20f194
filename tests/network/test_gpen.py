"""The network against the published layout and against reference outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bridge.network import plain
from bridge.network.architecture import Architecture
from bridge.network.checkpoint import assemble
from bridge.network.gpen import GPEN
from bridge.network.inference import fold

SHARED = Path(os.environ.get("GPEN_SHARED", Path(__file__).parents[2].parent / "shared"))
REFERENCE = SHARED / "reference" / "gpen"

needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the shared reference data is not here")


@needs_reference
@pytest.mark.parametrize("variant", ["256", "512", "1024", "2048"])
def test_keys_order_shapes_and_architecture_are_those_of_published_checkpoints(variant: str) -> None:
    published = json.loads((REFERENCE / f"keys-{variant}.json").read_text())
    config = published["config"]
    shapes = {key: tuple(shape) for key, shape, _ in published["keys"]}

    architecture = Architecture.deduced(shapes)
    with torch.device("meta"):
        network = GPEN(architecture)

    assert architecture.multipliers == (config["channel_multiplier"], config["narrow"])
    assert (architecture.size, architecture.style_dim, architecture.mlp_depth) == (
        config["size"],
        config["style_dim"],
        config["n_mlp"],
    )
    assert [(k, tuple(v.shape)) for k, v in network.state_dict().items()] == list(shapes.items())
    assert sum(p.numel() for p in network.parameters()) == published["parameters"]


OWN = Path(__file__).parents[1] / "golden" / "network-tiny.safetensors"


@pytest.mark.parametrize(
    "path",
    [
        OWN,
        pytest.param(REFERENCE / "golden-s64.safetensors", marks=needs_reference),
        pytest.param(REFERENCE / "golden-s128.safetensors", marks=needs_reference),
    ],
    ids=lambda path: path.stem,
)
def test_every_form_gives_the_golden_answer(path: Path) -> None:
    tensors = load_file(path)
    weights = {key.removeprefix("w."): value for key, value in tensors.items() if key.startswith("w.")}
    network = assemble(weights)
    latent, restored = tensors["latent"].float(), tensors["out"].float()
    assert restored.std() > 0.5

    with torch.no_grad():
        torch.testing.assert_close(network.encode(tensors["in"])[0], latent, atol=1e-4, rtol=0)
        torch.testing.assert_close(network(tensors["in"]), restored, atol=1e-4, rtol=0)
        torch.testing.assert_close(plain.restore(network, tensors["in"]), restored, atol=1e-4, rtol=0)
    torch.testing.assert_close(fold(network)(tensors["in"]), restored, atol=1e-4, rtol=0)


@pytest.mark.parametrize("skip_gain", [0.0, 1.0])
def test_initialisation_is_that_of_stylegan2(skip_gain: float) -> None:
    network = GPEN(Architecture((64, 64, 64), 64, 2), skip_gain=skip_gain)
    parameters = {name: parameter.detach() for name, parameter in network.named_parameters()}
    assert parameters["generator.style.1.weight"].std() == pytest.approx(100, rel=0.1)
    assert parameters["generator.convs.0.conv.weight"].std() == pytest.approx(1, rel=0.1)
    for name, parameter in parameters.items():
        if name.endswith("noise.weight"):
            assert parameter.tolist() == [skip_gain]
        elif name.endswith("bias"):
            assert bool((parameter == (1 if "modulation" in name else 0)).all())
