"""GPEN by its definitions: one modulated weight for each sample, FIR by inserting, padding and filtering.

The slow, readable yardstick for `gpen.py` and `inference.py`: same weights, none of their
arithmetic. Also what `benchmarks/network.py` times them against. Not used in the product's own work.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from bridge.network.generator import StyledBlock, ToRgb
from bridge.network.gpen import GPEN
from bridge.network.layers import EPSILON, GAIN, SLOPE, BiasedActivation, EqualConv, FirFilter, ModulatedConv


def upfirdn2d(x: Tensor, kernel: Tensor, *, up: int = 1, before: int, after: int) -> Tensor:
    """Upsample, pad and filter every channel by itself.

    1. Insert up - 1 zeros after every pixel, on both axes.
    2. Pad with zeros: `before` on the top and left, `after` on the bottom and right.
    3. Convolve (with the kernel flipped, as the word means in mathematics).

    x: N x C x H x W; kernel: K x K. Returns N x C x H' x W', H' = H * up + before + after - K + 1.
    """
    batch, channels, height, width = x.shape
    x = x.reshape(batch * channels, 1, height, width)
    if up > 1:
        spread = x.new_zeros(batch * channels, 1, height, up, width, up)
        spread[:, :, :, 0, :, 0] = x
        x = spread.reshape(batch * channels, 1, height * up, width * up)
    padded = functional.pad(x, (before, after, before, after))
    filtered = functional.conv2d(padded, kernel.flip((0, 1))[None, None])
    return filtered.reshape(batch, channels, *filtered.shape[2:])


def modulated_convolution(conv: ModulatedConv, x: Tensor, latent: Tensor) -> Tensor:
    """Equations 1 and 3 of StyleGAN2 as printed; the batch becomes groups of one convolution.

    x: N x I x H x W, latent: N x style_dim -> N x O x H x W, or 2H x 2W when upsampling.
    """
    batch, channels, height, width = x.shape
    style = conv.modulation(latent)
    weight = conv.weight * conv.scale * style.view(batch, 1, channels, 1, 1)
    if conv.demodulate:
        weight = weight * torch.rsqrt(weight.square().sum(dim=(2, 3, 4), keepdim=True) + EPSILON)
    _, outputs, _, side, _ = weight.shape
    x = x.reshape(1, batch * channels, height, width)
    if conv.blur is None:
        weight = weight.reshape(batch * outputs, channels, side, side)
        y = functional.conv2d(x, weight, padding=side // 2, groups=batch)
    else:
        weight = weight.transpose(1, 2).reshape(batch * channels, outputs, side, side)
        y = functional.conv_transpose2d(x, weight, stride=2, groups=batch)
        y = upfirdn2d(y, conv.blur.kernel, before=1, after=1)
    return y.reshape(batch, outputs, *y.shape[2:])


def activation(x: Tensor, bias: Tensor) -> Tensor:
    """sqrt(2) * leaky ReLU(x + bias); x: N x C x H x W, bias: C."""
    return functional.leaky_relu(x + bias.view(1, -1, 1, 1), SLOPE) * GAIN


def styled_block(block: StyledBlock, x: Tensor, latent: Tensor, feature: Tensor) -> Tensor:
    """`StyledBlock.forward`, plainly."""
    y = modulated_convolution(block.conv, x, latent)
    return activation(torch.cat((y, block.noise.weight * feature), dim=1), block.activate.bias)


def to_rgb(layer: ToRgb, x: Tensor, latent: Tensor, picture: Tensor | None) -> Tensor:
    """`ToRgb.forward`, plainly."""
    rgb = modulated_convolution(layer.conv, x, latent) + layer.bias
    if picture is None or layer.upsample is None:
        return rgb
    return rgb + upfirdn2d(picture, layer.upsample.kernel, up=2, before=2, after=1)


def encode(network: GPEN, x: Tensor) -> tuple[Tensor, dict[int, Tensor]]:
    """`GPEN.encode`, plainly."""
    features: dict[int, Tensor] = {}
    for resolution, encoder in network.encoders():
        for layer in encoder:
            match layer:
                case FirFilter():
                    x = upfirdn2d(x, layer.kernel, before=2, after=2)
                case EqualConv():
                    weight = layer.weight / math.sqrt(layer.weight[0].numel())
                    x = functional.conv2d(x, weight, stride=layer.stride)
                case BiasedActivation():
                    x = activation(x, layer.bias)
        features[resolution] = x
    return network.latent(x), features


def restore(network: GPEN, x: Tensor) -> Tensor:
    """`GPEN.forward`, plainly. N x 3 x size x size in [-1, 1] -> the same layout, unbounded."""
    latent, features = encode(network, x)
    decoder = network.generator
    y = styled_block(decoder.conv1, decoder.input(features[4]), latent, features[4])
    picture = to_rgb(decoder.to_rgb1, y, latent, None)
    for resolution, upsampling, plain, rgb_layer in decoder.levels():
        y = styled_block(upsampling, y, latent, features[resolution])
        y = styled_block(plain, y, latent, features[resolution])
        picture = to_rgb(rgb_layer, y, latent, picture)
    return picture
