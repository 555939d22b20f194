"""The network against the published layout and against reference outputs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN

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


@needs_reference
@pytest.mark.parametrize("name", ["golden-s64", "golden-s128"])
def test_output_and_latent_match_the_reference(name: str) -> None:
    tensors = load_file(REFERENCE / f"{name}.safetensors")
    weights = {k.removeprefix("w."): v for k, v in tensors.items() if k.startswith("w.")}
    network = GPEN(Architecture.deduced({k: tuple(v.shape) for k, v in weights.items()}))
    network.load_state_dict(weights)

    with torch.no_grad():
        latent, _ = network.encode(tensors["in"])
        restored = network(tensors["in"])

    torch.testing.assert_close(latent, tensors["latent"], atol=1e-4, rtol=0)
    torch.testing.assert_close(restored, tensors["out"], atol=1e-4, rtol=0)
