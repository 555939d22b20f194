"""Writes network-tiny.safetensors: what a small network must answer, whoever implements it.

Run from the repository root: python -m tests.golden.make_network

The weights are seeded noise in float32, every one of them at work. The answer is computed in float64
by `bridge.network.plain`, the form that follows the definitions. Tensors: `w.<key>` weights under
their state-dict keys, `in` 2 x 3 x 16 x 16 in [-1, 1], `latent` and `out` as float64. Tolerance: 1e-4
absolute in float32. It only needs to be written again when the network itself is meant to change.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from bridge.network import plain
from tests.network.conftest import TINY, network_with_every_weight_at_work, pictures

GOLDEN = Path(__file__).with_name("network-tiny.safetensors")


def main() -> None:
    network = network_with_every_weight_at_work(TINY, seed=2026)
    weights = {f"w.{key}": value.clone() for key, value in network.state_dict().items()}
    x = pictures(network.size, batch=2, seed=2026)
    with torch.no_grad():
        latent, _ = plain.encode(network.double(), x.double())
        out = plain.restore(network, x.double())
    save_file({**weights, "in": x, "latent": latent, "out": out}, GOLDEN)


if __name__ == "__main__":
    main()
