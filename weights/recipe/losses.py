"""What the network is punished for. Pure: tensors in, a number out.

All pictures are N x 3 x H x W, [-1, 1], RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

CHARBONNIER_EPSILON = 0.1
"""Of full range 2: below it, 13 levels of a byte, the loss is quadratic, so that small errors stop pulling
and large ones count as they do in PSNR. With 0.003, and slopes counting more, light gained 0.3 dB less."""
GRADIENT_SCALES = 3


@dataclass(frozen=True)
class Weights:
    """How much each loss counts; 0 leaves it out.

    Attributes:
        gradient: differences of neighbouring pixels, at full, half and quarter size: edges.
        frequency: magnitude of the difference of Fourier spectra: texture.
    """

    gradient: float = 0.3
    frequency: float = 0.02


def charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """Mean of sqrt((x - y)^2 + epsilon^2) - epsilon: L1 with a rounded tip (Lai et al., CVPR 2017)."""
    return torch.sqrt((x - y).square() + CHARBONNIER_EPSILON**2).mean() - CHARBONNIER_EPSILON


def gradient(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute difference of horizontal and vertical slopes over three sizes."""
    difference = x - y
    total = x.new_zeros(())
    for scale in range(GRADIENT_SCALES):
        if scale:
            difference = functional.avg_pool2d(difference, 2)
        across = (difference[..., 1:] - difference[..., :-1]).abs().mean()
        down = (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
        total = total + (across + down) / 2
    return total / GRADIENT_SCALES


def frequency(x: Tensor, y: Tensor) -> Tensor:
    """Mean magnitude of the spectrum's error, orthonormal (Cho et al., ICCV 2021)."""
    return torch.fft.rfft2(x - y, norm="ortho").abs().mean()


def total(restored: Tensor, wanted: Tensor, weights: Weights) -> Tensor:
    """The sum that is minimised."""
    loss = charbonnier(restored, wanted)
    if weights.gradient:
        loss = loss + weights.gradient * gradient(restored, wanted)
    if weights.frequency:
        loss = loss + weights.frequency * frequency(restored, wanted)
    return loss
