"""The network as it serves: every scale, gain and bias folded once, weights constant, no gradients.

`fold` derives it from a `GPEN`; the answer is the same to float32 rounding. Knows no files and no training.

Three identities do the folding. Scaling the input channels by the style and the output channels by
the demodulation replaces a weight for each sample by one constant weight. The leaky ReLU is
positively homogeneous, so its gain of sqrt(2) moves into the weight and bias before it. And the
demodulation needs only the energy of each kernel, which is constant too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from bridge.network.generator import StyledBlock, ToRgb
from bridge.network.gpen import GPEN
from bridge.network.layers import (
    EPSILON,
    GAIN,
    SLOPE,
    BiasedActivation,
    EqualConv,
    EqualLinear,
    FirFilter,
    PixelNorm,
    low_pass,
    upsample_by_two,
)
from bridge.network.winograd import WinogradConv

# Where Winograd's transforms cost less than they save; elsewhere direct convolution is as fast.
WINOGRAD_MIN_RESOLUTION = 32
WINOGRAD_MIN_CHANNELS = 128


def fold(network: GPEN) -> InferenceNetwork:
    """Precompute all that does not depend on the picture; `network` is not modified and not kept."""
    with torch.no_grad():
        folded = InferenceNetwork(network).eval()
    folded.settle("cpu")
    return folded


class InferenceNetwork(nn.Module):
    """What `fold` returns, on the CPU until it is told to settle elsewhere.

    On CPUs every picture of a batch runs alone: that is as fast there, and then an answer does
    not depend on its neighbours by a single bit.
    """

    constant: Tensor

    def __init__(self, network: GPEN) -> None:
        super().__init__()
        decoder = network.generator
        normalise, *mapping = decoder.style
        self.size = network.size
        self.encoder = nn.ModuleList(EncoderStage(tuple(stage)) for _, stage in network.encoders())
        self.lowest_to_style = Linear(cast("EqualLinear", network.final_linear[0]))
        self.normalise = cast("PixelNorm", normalise)
        self.mapping = nn.Sequential(*(Linear(cast("EqualLinear", layer)) for layer in mapping))
        self.register_buffer("constant", functional.pad(decoder.input.input, (1, 1, 1, 1)))
        self.lowest = Block(decoder.conv1)
        self.lowest_rgb = Rgb(decoder.to_rgb1)
        self.levels = nn.ModuleList(
            Level(resolution, upsampling, plain, rgb)
            for resolution, upsampling, plain, rgb in decoder.levels()
        )

    @property
    def bytes(self) -> int:
        """Memory of the weights, in every form that they are kept in."""
        return sum(buffer.nbytes for buffer in self.buffers())

    @torch.no_grad()
    def settle(self, device: torch.device | str) -> None:
        """Move there, in place, and keep the weights in the forms that are fast there.

        CPUs get Winograd's for the widest convolutions; elsewhere the vendor's library chooses by itself.
        """
        on_cpu = torch.device(device).type == "cpu"
        # Weights in the memory format of the pictures, or they would be rearranged in every pass.
        layout = _memory_format(torch.device(device))
        self.to(device).to(memory_format=layout)  # type: ignore[call-overload]  # torch's stub lacks it
        for level in self.levels:
            cast("Level", level).settle(on_cpu=on_cpu)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """N x 3 x size x size, RGB, as `TensorForm.encode` gives it -> the same layout, unbounded."""
        if x.device.type == "cpu":
            return torch.cat([self._restore(one) for one in torch.split(x, 1)])
        return self._restore(x)

    def _restore(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=_memory_format(x.device))
        features = []
        for stage in self.encoder:
            x = stage(x)
            features.append(x)
        latent = self.mapping(self.normalise(self.lowest_to_style(x.flatten(1))))
        feature = features.pop()
        x = _canvas(feature, self.lowest.out_channels, border=0)
        self.lowest(self.constant.repeat(len(x), 1, 1, 1), latent, feature, out=x)
        picture: Tensor = self.lowest_rgb(x, latent, None)
        for level in self.levels:
            x, picture = level(x, latent, features.pop(), picture)
        return picture


class Linear(nn.Module):
    """`EqualLinear` with its scales inside."""

    weight: Tensor
    bias: Tensor

    def __init__(self, layer: EqualLinear) -> None:
        super().__init__()
        gain = GAIN if layer.activated else 1.0
        self.register_buffer("weight", layer.weight * (layer.scale * gain))
        self.register_buffer("bias", layer.bias * (layer.bias_scale * gain))
        self.activated = layer.activated

    def forward(self, x: Tensor) -> Tensor:
        """N x I -> N x O."""
        x = functional.linear(x, self.weight, self.bias)
        return functional.leaky_relu_(x, SLOPE) if self.activated else x


class EncoderStage(nn.Module):
    """Low-pass (but for the first stage), convolution, activation."""

    weight: Tensor
    bias: Tensor
    kernel: Tensor | None

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        *filters, conv, activation = layers
        conv = cast("EqualConv", conv)
        self.register_buffer("weight", conv.weight * (conv.scale * GAIN))
        self.register_buffer("bias", cast("BiasedActivation", activation).bias * GAIN)
        self.register_buffer("kernel", cast("FirFilter", filters[0]).kernel.clone() if filters else None)
        self.stride = conv.stride

    def forward(self, x: Tensor) -> Tensor:
        """N x I x H x W -> N x O x H / stride x W / stride."""
        if self.kernel is not None:
            x = low_pass(x, self.kernel, padding=2)
        return functional.leaky_relu_(functional.conv2d(x, self.weight, self.bias, stride=self.stride), SLOPE)


class Block(nn.Module):
    """`StyledBlock`; writes where the next one wants to read, so that nothing is concatenated or padded."""

    energy: Tensor
    gain: Tensor
    bias: Tensor

    def __init__(self, block: StyledBlock) -> None:
        super().__init__()
        conv = block.conv
        weight = conv.weight[0] * conv.scale
        self.modulation = Linear(conv.modulation)
        self.register_buffer("energy", weight.square().sum(dim=(2, 3)))
        self.register_buffer("gain", block.noise.weight * GAIN)
        self.register_buffer("bias", (block.activate.bias * GAIN).view(-1, 1, 1))
        self.out_channels = len(self.bias)
        self.conv: Upsampling | Plain
        if conv.blur is not None:
            self.conv = Upsampling(weight * GAIN, conv.blur.kernel)
        else:
            self.conv = Plain(weight * GAIN)
        self.winograd: WinogradConv | None = None

    def forward(self, x: Tensor, latent: Tensor, feature: Tensor, out: Tensor) -> None:
        """x: N x I x H x W, bordered by zeros unless this upsamples, used up; out: N x 2O x H' x W'."""
        style = self.modulation(latent)
        demodulation = torch.rsqrt(style.square() @ self.energy.t() + EPSILON)
        convolved, remembered = out.chunk(2, dim=1)
        bias, skip_bias = self.bias.chunk(2)
        torch.addcmul(skip_bias, feature, self.gain, out=remembered)
        if self.winograd is None:
            y = self.conv(x.mul_(style[:, :, None, None]))
            torch.addcmul(bias, y, demodulation[:, :, None, None], out=convolved)
            functional.leaky_relu_(out, SLOPE)
            return
        functional.leaky_relu_(remembered, SLOPE)
        offset, amplify = bias.flatten(), demodulation[0]

        def finish(y: Tensor) -> None:
            functional.leaky_relu_(torch.addcmul(offset, y, amplify, out=y), SLOPE)

        self.winograd(_height_width_channels(x), style[0], finish, out=_height_width_channels(convolved))


class Plain(nn.Module):
    """3 x 3 convolution of a picture that brings its border of zeros."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        """N x I x (H + 2) x (W + 2) -> N x O x H x W."""
        return functional.conv2d(x, self.weight)


class Upsampling(nn.Module):
    """3 x 3 transposed convolution with stride 2, then the low-pass; no border."""

    weight: Tensor
    kernel: Tensor

    def __init__(self, weight: Tensor, kernel: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.transpose(0, 1).contiguous())
        self.register_buffer("kernel", kernel.clone())

    def forward(self, x: Tensor) -> Tensor:
        """N x I x H x W -> N x O x 2H x 2W."""
        return low_pass(functional.conv_transpose2d(x, self.weight, stride=2), self.kernel, padding=1)


class Rgb(nn.Module):
    """`ToRgb`; with three outputs, a weight for each sample is cheaper than scaling the input."""

    weight: Tensor
    bias: Tensor
    kernel: Tensor | None

    def __init__(self, layer: ToRgb) -> None:
        super().__init__()
        self.modulation = Linear(layer.conv.modulation)
        self.register_buffer("weight", layer.conv.weight[0] * layer.conv.scale)
        self.register_buffer("bias", layer.bias.flatten().clone())
        self.register_buffer("kernel", None if layer.upsample is None else layer.upsample.kernel.clone())

    def forward(self, x: Tensor, latent: Tensor, picture: Tensor | None) -> Tensor:
        """N x I x H x W and the picture of half the sides -> the picture, N x 3 x H x W."""
        styles = self.modulation(latent)
        rgb = torch.cat(
            [
                functional.conv2d(one, self.weight * style[:, None, None], self.bias)
                for one, style in zip(torch.split(x, 1), styles, strict=True)
            ]
        ).contiguous()
        if picture is None or self.kernel is None:
            return rgb
        return rgb.add_(upsample_by_two(picture, self.kernel))


class Level(nn.Module):
    """All layers of one resolution above the lowest."""

    def __init__(self, resolution: int, upsampling: StyledBlock, plain: StyledBlock, rgb: ToRgb) -> None:
        super().__init__()
        self.resolution = resolution
        self.upsampling = Block(upsampling)
        self.plain = Block(plain)
        self.rgb = Rgb(rgb)

    def settle(self, *, on_cpu: bool) -> None:
        """Keep the weights in the forms that are fast there."""
        weight = self.plain.conv.weight
        pays = self.resolution >= WINOGRAD_MIN_RESOLUTION and weight.shape[1] >= WINOGRAD_MIN_CHANNELS
        if not (on_cpu and pays):
            self.plain.winograd = None
        elif self.plain.winograd is None:  # else the weights are as they were, and this would hold them twice
            self.plain.winograd = WinogradConv(weight)

    def forward(self, x: Tensor, latent: Tensor, feature: Tensor, picture: Tensor) -> tuple[Tensor, Tensor]:
        """What the next level wants: the features and the picture of this one."""
        bordered = _canvas(feature, self.upsampling.out_channels, border=1)
        self.upsampling(x, latent, feature, out=bordered[:, :, 1:-1, 1:-1])
        out = _canvas(feature, self.plain.out_channels, border=0)
        self.plain(bordered, latent, feature, out=out)
        return out, self.rgb(out, latent, picture)


def _memory_format(device: torch.device) -> torch.memory_format:
    """Channels last is what AVX and tensor cores work on; Metal's kernels want planes."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def _canvas(feature: Tensor, channels: int, *, border: int) -> Tensor:
    """An unset N x channels x H x W tensor for pictures of the feature's size, inside a border of zeros."""
    batch, _, height, width = feature.shape
    canvas = torch.empty(
        (batch, channels, height + 2 * border, width + 2 * border),
        dtype=feature.dtype,
        device=feature.device,
        memory_format=_memory_format(feature.device),
    )
    if border:
        for edge in (canvas[:, :, :border], canvas[:, :, -border:]):
            edge.zero_()
        for edge in (canvas[..., :border], canvas[..., -border:]):
            edge.zero_()
    return canvas


def _height_width_channels(x: Tensor) -> Tensor:
    """The one picture of a batch, without copying."""
    return x[0].permute(1, 2, 0)
