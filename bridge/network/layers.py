"""The building blocks of StyleGAN2 (arXiv 1912.04958): equalised, filtered and modulated layers.

Owns each layer's arithmetic and the names of its weights; does not know how layers are joined.
`plain.py` holds the same operations by their definitions, so that each can test the other.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

FIR_TAPS = (1.0, 3.0, 3.0, 1.0)
SLOPE = 0.2
GAIN = math.sqrt(2.0)  # restores the variance that the leaky ReLU takes away
EPSILON = 1e-8


def fir_kernel(gain: float = 1.0) -> Tensor:
    """The binomial low-pass [1,3,3,1] in two dimensions: 4 x 4, symmetric, sums to `gain`."""
    taps = torch.tensor(FIR_TAPS)
    kernel = torch.outer(taps, taps)
    return kernel * (gain / kernel.sum())


def activate(x: Tensor, bias: Tensor) -> Tensor:
    """Leaky ReLU of x + bias, times sqrt(2). x: N x C x H x W with bias 1 x C x 1 x 1, or N x C with C."""
    return functional.leaky_relu(x + bias, SLOPE) * GAIN


def low_pass(x: Tensor, kernel: Tensor, padding: int) -> Tensor:
    """Filter every channel with the 4 x 4 kernel.

    x: N x C x H x W, zeros are padded on all four sides -> N x C x (H + 2 padding - 3) x (W + 2 padding - 3).
    One depthwise convolution: on CPUs it beats a row and a column, sums of shifted copies and pooling.
    """
    channels = x.shape[1]
    return functional.conv2d(x, kernel.expand(channels, 1, 4, 4), padding=padding, groups=channels)


def upsample_by_two(x: Tensor, kernel: Tensor) -> Tensor:
    """Double both sides: zeros between the pixels, then the 4 x 4 kernel (which sums to 4). N x C x H x W."""
    channels = x.shape[1]
    weight = kernel.expand(channels, 1, 4, 4)
    return functional.conv_transpose2d(x, weight, stride=2, padding=1, groups=channels)


class FirFilter(nn.Module):
    """Holds a FIR kernel under the name that checkpoints give it."""

    kernel: Tensor

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("kernel", fir_kernel(gain))


class EqualConv(nn.Module):
    """Convolution whose weight is stored at unit variance and scaled by 1/sqrt(fan-in) in use. No bias."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, padding: int
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel_size, kernel_size))
        self.scale = 1.0 / math.sqrt(in_channels * kernel_size**2)
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        """N x I x H x W -> N x O x H' x W'."""
        return functional.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)


class EqualLinear(nn.Module):
    """Fully connected layer with equalised learning rate.

    Args:
        learning_rate_factor: weight and bias are stored divided by it, so they learn that much slower.
        activated: followed by the scaled leaky ReLU.
        bias: initial value of the bias in use.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        learning_rate_factor: float,
        activated: bool,
        bias: float,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / learning_rate_factor)
        self.bias = nn.Parameter(torch.full((out_features,), bias / learning_rate_factor))
        self.scale = learning_rate_factor / math.sqrt(in_features)
        self.bias_scale = learning_rate_factor
        self.activated = activated

    def forward(self, x: Tensor) -> Tensor:
        """N x in_features -> N x out_features."""
        bias = self.bias * self.bias_scale
        if self.activated:
            return activate(functional.linear(x, self.weight * self.scale), bias)
        return functional.linear(x, self.weight * self.scale, bias)


class PixelNorm(nn.Module):
    """Scales each row to unit root mean square."""

    def forward(self, x: Tensor) -> Tensor:
        """N x C -> N x C."""
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + EPSILON)


class BiasedActivation(nn.Module):
    """The bias of the convolution before it, and the scaled leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> the same."""
        return activate(x, self.bias.view(1, -1, 1, 1))


class DownsamplingFilter(FirFilter):
    """Low-pass before a convolution with stride 2, padded so that this halves the sides exactly."""

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x (H + 1) x (W + 1)."""
        return low_pass(x, self.kernel, padding=2)


class ModulatedConv(nn.Module):
    """Convolution whose input channels are scaled by a style (StyleGAN2, section 2.2).

    Instead of building one weight for each sample, the input is multiplied by the style and the
    output by the demodulation, which is the same by linearity: one weight serves the whole batch.

    Args:
        demodulate: bring every output channel back to unit variance.
        upsample: double the sides, by a transposed convolution and a low-pass.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        demodulate: bool,
        upsample: bool,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, out_channels, in_channels, kernel_size, kernel_size))
        self.scale = 1.0 / math.sqrt(in_channels * kernel_size**2)
        self.demodulate = demodulate
        self.blur = FirFilter(gain=4.0) if upsample else None
        self.modulation = EqualLinear(
            style_dim, in_channels, learning_rate_factor=1.0, activated=False, bias=1.0
        )

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        """x: N x I x H x W, latent: N x style_dim -> N x O x H x W, or 2H x 2W when upsampling."""
        style = self.modulation(latent)
        weight = self.weight[0] * self.scale
        x = x * style[:, :, None, None]
        if self.blur is not None:
            # Without the copy the CPU falls back to a convolution at half the speed.
            x = functional.conv_transpose2d(x, weight.transpose(0, 1).contiguous(), stride=2)
            x = low_pass(x, self.blur.kernel, padding=1)
        else:
            x = functional.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if self.demodulate:
            energy = weight.square().sum(dim=(2, 3))
            x = x * torch.rsqrt(style.square() @ energy.t() + EPSILON)[:, :, None, None]
        return x
