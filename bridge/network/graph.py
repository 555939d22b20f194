"""The inference form as a graph of plain layers, for engines that run a graph of their own.

Owns the order of the layers; how one is written down is the writer's (`ncnn.py`, `onnx_file.py`).
"""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor

from bridge.network.generator import RGB
from bridge.network.inference import (
    Block,
    EncoderStage,
    InferenceNetwork,
    Level,
    Linear,
    Rgb,
    Upsampling,
)
from bridge.network.layers import EPSILON


class GraphWriter(Protocol):
    """Writes layers, each by its inputs' names, and names its output.

    Pictures are N x C x H x W, vectors N x C, all float32. `activated` is the leaky ReLU of `layers.SLOPE`.
    """

    def picture(self, channels: int, side: int) -> str:
        """The input."""

    def constant(self, value: Tensor) -> str:
        """A picture that is always the same; value: 1 x C x H x W."""

    def convolution(
        self,
        x: str,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        activated: bool = False,
    ) -> str:
        """weight: O x I / groups x K x K."""

    def transposed(self, x: str, weight: Tensor, *, padding: int = 0, groups: int = 1) -> str:
        """Transposed convolution with stride 2; weight: I x O / groups x K x K."""

    def linear(self, x: str, weight: Tensor, bias: Tensor, *, activated: bool = False) -> str:
        """Vector to vector; weight: O x I."""

    def flatten(self, x: str) -> str:
        """Picture to vector, channels first."""

    def square(self, x: str) -> str:
        """Of each number of a vector."""

    def inverse_root(self, x: str) -> str:
        """1 / sqrt of each number of a vector."""

    def multiply(self, x: str, y: str) -> str:
        """Two vectors number by number; one of them may have a length of 1."""

    def scale(self, x: str, factors: str) -> str:
        """Each channel of a picture by the number of a vector."""

    def finish(self, x: str, factors: str, bias: Tensor) -> str:
        """Scale as above, add a bias to each channel, and activate. `x` is not needed afterwards."""

    def add(self, x: str, y: str) -> str:
        """Two pictures."""

    def concatenate(self, x: str, y: str) -> str:
        """Two pictures by channels."""


@torch.no_grad()
def write(network: InferenceNetwork, writer: GraphWriter) -> tuple[str, str]:
    """Write a network that has not settled anywhere; returns the names of its input and output."""
    source = x = writer.picture(RGB, network.size)
    features: list[str] = []
    for stage in network.encoder:
        x = _encoder_stage(writer, cast("EncoderStage", stage), x)
        features.append(x)
    latent = _latent(writer, network, x)
    constant = writer.constant(network.constant[:, :, 1:-1, 1:-1])  # without the border that `Plain` wants
    x = _block(writer, network.lowest, constant, latent, features.pop())
    picture = _rgb(writer, network.lowest_rgb, x, latent, None)
    for level in network.levels:
        level, feature = cast("Level", level), features.pop()
        x = _block(writer, level.upsampling, x, latent, feature)
        x = _block(writer, level.plain, x, latent, feature)
        picture = _rgb(writer, level.rgb, x, latent, picture)
    return source, picture


def _encoder_stage(writer: GraphWriter, stage: EncoderStage, x: str) -> str:
    if stage.kernel is not None:
        x = _low_pass(writer, x, stage.kernel, channels=stage.weight.shape[1], padding=2)
    return writer.convolution(x, stage.weight, stage.bias, stride=stage.stride, activated=True)


def _low_pass(writer: GraphWriter, x: str, kernel: Tensor, *, channels: int, padding: int) -> str:
    return writer.convolution(
        x, kernel.expand(channels, 1, *kernel.shape), None, padding=padding, groups=channels
    )


def _latent(writer: GraphWriter, network: InferenceNetwork, lowest: str) -> str:
    x = _linear(writer, writer.flatten(lowest), network.lowest_to_style)
    length = len(network.lowest_to_style.bias)
    mean = torch.full((1, length), 1 / length)
    energy = writer.linear(writer.square(x), mean, torch.tensor([EPSILON]))
    x = writer.multiply(x, writer.inverse_root(energy))
    for layer in network.mapping:
        x = _linear(writer, x, cast("Linear", layer))
    return x


def _linear(writer: GraphWriter, x: str, layer: Linear) -> str:
    return writer.linear(x, layer.weight, layer.bias, activated=layer.activated)


def _block(writer: GraphWriter, block: Block, x: str, latent: str, feature: str) -> str:
    style = _linear(writer, latent, block.modulation)
    outputs = len(block.energy)
    energy = writer.linear(writer.square(style), block.energy, torch.full((outputs,), EPSILON))
    x = writer.scale(x, style)
    if isinstance(block.conv, Upsampling):
        x = writer.transposed(x, block.conv.weight)
        x = _low_pass(writer, x, block.conv.kernel, channels=outputs, padding=1)
    else:
        x = writer.convolution(x, block.conv.weight, None, padding=1)
    bias, skip_bias = block.bias.flatten().chunk(2)
    x = writer.finish(x, writer.inverse_root(energy), bias)
    gains = block.gain.expand(len(skip_bias)).reshape(-1, 1, 1, 1)
    remembered = writer.convolution(feature, gains, skip_bias, groups=len(skip_bias), activated=True)
    return writer.concatenate(x, remembered)


def _rgb(writer: GraphWriter, layer: Rgb, x: str, latent: str, picture: str | None) -> str:
    x = writer.scale(x, _linear(writer, latent, layer.modulation))
    rgb = writer.convolution(x, layer.weight, layer.bias)
    if picture is None or layer.kernel is None:
        return rgb
    weight = layer.kernel.expand(RGB, 1, *layer.kernel.shape)
    return writer.add(rgb, writer.transposed(picture, weight, padding=1, groups=RGB))
