"""The network on patches of faces: where most of it learns, at a small part of the cost.

What a photo has lost shows in any piece of it; only the face as a whole needs the whole crop. So the
first lessons are given on patches, many to the price of a face, and all weights serve in both.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from bridge.network.gpen import GPEN

COARSEST = 4
"""Pixels of the smallest resolution of a whole face."""


def on_patches(network: GPEN, x: Tensor) -> Tensor:
    """The network's answer to pieces of pictures.

    The learned constant has no place in a patch: its mean serves. The latent reads 4 x 4 features;
    a patch has fewer, which stand for all of them. For a whole face this is not the network.

    Args:
        x: N x 3 x P x P, RGB, [-1, 1]; P a power of two from size / 4 on, below the network's size.

    Returns:
        N x 3 x P x P, unbounded.

    Raises:
        ValueError: P is not such a side.
    """
    shrunk, rest = divmod(x.shape[-1] * COARSEST, network.size)
    if rest or not 1 <= shrunk < COARSEST:
        raise ValueError(f"A patch of {x.shape[-1]} pixels does not suit a network of {network.size}.")
    features: dict[int, Tensor] = {}
    for resolution, stage in network.encoders():
        x = stage(x)
        features[resolution] = x
    latent = network.latent(functional.interpolate(x, size=(COARSEST, COARSEST), mode="nearest"))
    generator = network.generator
    constant = generator.input.input.mean(dim=(2, 3), keepdim=True).expand_as(features[COARSEST])
    x = generator.conv1(constant, latent, features[COARSEST])
    picture: Tensor = generator.to_rgb1(x, latent, None)
    for resolution, upsampling, plain, rgb_layer in generator.levels():
        x = plain(upsampling(x, latent, features[resolution]), latent, features[resolution])
        picture = rgb_layer(x, latent, picture)
    return picture
