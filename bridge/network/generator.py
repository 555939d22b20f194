"""The StyleGAN2 generator as GPEN uses it: the GAN prior, fed with encoder features instead of noise.

Owns how the decoder's layers are joined and named; does not know where latent and features come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from bridge.network.architecture import Architecture
from bridge.network.layers import (
    BiasedActivation,
    EqualLinear,
    FirFilter,
    ModulatedConv,
    PixelNorm,
    upsample_by_two,
)

MAPPING_LEARNING_RATE_FACTOR = 0.01
RGB = 3


class ConstantInput(nn.Module):
    """The learned 4 x 4 picture from which every face grows."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, feature: Tensor) -> Tensor:
        """-> N x C x 4 x 4, batch size and memory format as `feature` (of the same shape) has them."""
        return torch.empty_like(feature).copy_(self.input.expand_as(feature))


class SkipGain(nn.Module):
    """How loudly an encoder feature speaks in one block; checkpoints call it `noise`, whose place it took."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1,), initial))

    def forward(self, feature: Tensor) -> Tensor:
        """Any shape -> the same."""
        return feature * self.weight


class StyledBlock(nn.Module):
    """A modulated convolution, the encoder feature of that resolution beside it, bias and activation.

    Takes in_channels and gives 2 * out_channels: first the convolution's, then the encoder's.
    """

    def __init__(
        self, in_channels: int, out_channels: int, style_dim: int, *, upsample: bool, skip_gain: float
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv(in_channels, out_channels, 3, style_dim, demodulate=True, upsample=upsample)
        self.noise = SkipGain(skip_gain)
        self.activate = BiasedActivation(2 * out_channels)

    def forward(self, x: Tensor, latent: Tensor, feature: Tensor) -> Tensor:
        """x: N x I x H x W, latent: N x style_dim, feature: N x O x H' x W' -> N x 2O x H' x W'."""
        joined = torch.cat((self.conv(x, latent), self.noise(feature)), dim=1)
        activated: Tensor = self.activate(joined)
        return activated


class ToRgb(nn.Module):
    """Adds what one resolution has to say to the picture so far."""

    def __init__(self, in_channels: int, style_dim: int, *, upsample: bool) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, RGB, 1, 1))
        self.upsample = FirFilter(gain=4.0) if upsample else None
        self.conv = ModulatedConv(in_channels, RGB, 1, style_dim, demodulate=False, upsample=False)

    def forward(self, x: Tensor, latent: Tensor, picture: Tensor | None) -> Tensor:
        """x: N x I x H x W; picture: N x 3 x H/2 x W/2, None at the lowest resolution -> N x 3 x H x W."""
        rgb: Tensor = self.conv(x, latent) + self.bias
        if picture is None or self.upsample is None:
            return rgb
        return rgb + upsample_by_two(picture, self.upsample.kernel)


class Generator(nn.Module):
    """Mapping network and synthesis.

    Args:
        skip_gain: initial gain of the encoder features in every block.
    """

    def __init__(self, architecture: Architecture, skip_gain: float) -> None:
        super().__init__()
        style_dim = architecture.style_dim
        self.resolutions = architecture.resolutions
        self.style = nn.Sequential(
            PixelNorm(),
            *(
                EqualLinear(
                    style_dim,
                    style_dim,
                    learning_rate_factor=MAPPING_LEARNING_RATE_FACTOR,
                    activated=True,
                    bias=0.0,
                )
                for _ in range(architecture.mlp_depth)
            ),
        )
        lowest = architecture.width(4)
        self.input = ConstantInput(lowest)
        self.conv1 = StyledBlock(lowest, lowest, style_dim, upsample=False, skip_gain=skip_gain)
        self.to_rgb1 = ToRgb(2 * lowest, style_dim, upsample=False)
        self.convs = nn.ModuleList()
        self.to_rgbs = nn.ModuleList()
        before = 2 * lowest
        for resolution in self.resolutions[1:]:
            width = architecture.width(resolution)
            self.convs.append(StyledBlock(before, width, style_dim, upsample=True, skip_gain=skip_gain))
            self.convs.append(StyledBlock(2 * width, width, style_dim, upsample=False, skip_gain=skip_gain))
            self.to_rgbs.append(ToRgb(2 * width, style_dim, upsample=True))
            before = 2 * width

    def forward(self, latent: Tensor, features: Mapping[int, Tensor]) -> Tensor:
        """Draw the picture.

        Args:
            latent: N x style_dim, after the mapping network.
            features: encoder output by resolution, each N x C(r) x r x r.

        Returns:
            N x 3 x size x size, unbounded.
        """
        x = self.conv1(self.input(features[4]), latent, features[4])
        picture: Tensor = self.to_rgb1(x, latent, None)
        for resolution, upsampling, plain, rgb_layer in self.levels():
            x = upsampling(x, latent, features[resolution])
            x = plain(x, latent, features[resolution])
            picture = rgb_layer(x, latent, picture)
        return picture

    def levels(self) -> Iterator[tuple[int, StyledBlock, StyledBlock, ToRgb]]:
        """The layers above 4 pixels by resolution: the upsampling block, the plain one, the picture's."""
        for level, resolution in enumerate(self.resolutions[1:]):
            upsampling, plain = self.convs[2 * level], self.convs[2 * level + 1]
            yield (
                resolution,
                cast("StyledBlock", upsampling),
                cast("StyledBlock", plain),
                cast("ToRgb", self.to_rgbs[level]),
            )
