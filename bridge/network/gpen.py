"""GPEN (arXiv 2105.06070): an encoder joined to a StyleGAN2 generator.

Owns the whole network in its trainable form; `inference.py` derives the fast one. Knows no files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from torch import Tensor, nn

from bridge.network.architecture import Architecture
from bridge.network.generator import RGB, Generator
from bridge.network.layers import BiasedActivation, DownsamplingFilter, EqualConv, EqualLinear


class GPEN(nn.Module):
    """The trainable network.

    State-dict keys, their order and their shapes are those of published checkpoints.

    Args:
        architecture: every free choice.
        skip_gain: initial gain of the encoder features in the decoder. 1 suits training from
            scratch; 0 suits a generator that was trained alone before.
    """

    def __init__(self, architecture: Architecture, *, skip_gain: float = 1.0) -> None:
        super().__init__()
        self.architecture = architecture
        self.generator = Generator(architecture, skip_gain)
        falling = architecture.resolutions[::-1]
        self._encoder_names = {resolution: f"ecd{i}" for i, resolution in enumerate(falling)}
        before = RGB
        for resolution, name in self._encoder_names.items():
            width = architecture.width(resolution)
            at_full_size = resolution == architecture.size
            layers: list[nn.Module] = (
                [EqualConv(before, width, 1, stride=1, padding=0)]
                if at_full_size
                else [DownsamplingFilter(), EqualConv(before, width, 3, stride=2, padding=0)]
            )
            # The two nested levels exist only because the published key names have them.
            self.add_module(name, nn.Sequential(nn.Sequential(*layers, BiasedActivation(width))))
            before = width
        self.final_linear = nn.Sequential(
            EqualLinear(
                before * 4 * 4, architecture.style_dim, learning_rate_factor=1.0, activated=True, bias=0.0
            )
        )

    @property
    def size(self) -> int:
        """Side of input and output in pixels."""
        return self.architecture.size

    def encode(self, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
        """Split a picture into what it shows and what each resolution remembers.

        Args:
            x: N x 3 x size x size, RGB, [-1, 1].

        Returns:
            The latent after the mapping network, N x style_dim, and the features by resolution,
            each N x C(r) x r x r.
        """
        features: dict[int, Tensor] = {}
        for resolution, encoder in self.encoders():
            x = encoder(x)
            features[resolution] = x
        return self.latent(x), features

    def encoders(self) -> Iterator[tuple[int, nn.Sequential]]:
        """The encoder's stages from full size to 4 pixels, each with the resolution that it gives."""
        for resolution, name in self._encoder_names.items():
            stage = cast("nn.Sequential", self.get_submodule(name))
            yield resolution, cast("nn.Sequential", stage[0])

    def latent(self, lowest: Tensor) -> Tensor:
        """The encoder's last feature, N x C(4) x 4 x 4 -> the latent of every layer, N x style_dim."""
        latent: Tensor = self.generator.style(self.final_linear(lowest.flatten(1)))
        return latent

    def forward(self, x: Tensor) -> Tensor:
        """N x 3 x size x size, RGB, [-1, 1] -> the same layout, unbounded (no final activation)."""
        latent, features = self.encode(x)
        picture: Tensor = self.generator(latent, features)
        return picture
