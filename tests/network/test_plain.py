"""Two implementations of every operation, each testing the other, in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.network import layers, plain
from bridge.network.architecture import Architecture
from tests.network.conftest import MakeNetwork, pictures

sides = st.integers(1, 9)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@given(sides, sides, st.sampled_from([1, 2]), st.integers(0, 3), st.integers(0, 3), st.integers(1, 4))
@settings(max_examples=40)
def test_upfirdn2d_is_what_its_three_steps_say(
    height: int, width: int, up: int, before: int, after: int, taps: int
) -> None:
    x = noise(1, 1, height, width)
    kernel = noise(taps, taps)
    padded_sides = (height * up + before + after, width * up + before + after)
    if min(padded_sides) < taps:
        return
    padded = torch.zeros(padded_sides, dtype=torch.float64)
    for row in range(height):
        for column in range(width):
            padded[before + row * up, before + column * up] = x[0, 0, row, column]
    expected = torch.zeros([side - taps + 1 for side in padded_sides], dtype=torch.float64)
    for row in range(expected.shape[0]):
        for column in range(expected.shape[1]):
            window = padded[row : row + taps, column : column + taps]
            expected[row, column] = (window * kernel.flip((0, 1))).sum()
    found = plain.upfirdn2d(x, kernel, up=up, before=before, after=after)
    torch.testing.assert_close(found[0, 0], expected)


@given(st.integers(1, 3), st.integers(1, 5), sides, sides)
@settings(max_examples=25)
def test_filters_agree_with_upfirdn2d(batch: int, channels: int, height: int, width: int) -> None:
    x = noise(batch, channels, height, width)
    kernel = layers.fir_kernel(4.0).double()
    torch.testing.assert_close(
        layers.low_pass(x, kernel, padding=2), plain.upfirdn2d(x, kernel, before=2, after=2)
    )
    torch.testing.assert_close(
        layers.upsample_by_two(x, kernel), plain.upfirdn2d(x, kernel, up=2, before=2, after=1)
    )


@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 5),
    sides,
    st.sampled_from([1, 3]),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=40)
def test_modulated_convolutions_agree(
    batch: int, inputs: int, outputs: int, side: int, kernel_size: int, demodulate: bool, upsample: bool
) -> None:
    upsample = upsample and kernel_size == 3
    conv = layers.ModulatedConv(
        inputs, outputs, kernel_size, 4, demodulate=demodulate, upsample=upsample
    ).double()
    x, latent = noise(batch, inputs, side, side), noise(batch, 4)
    torch.testing.assert_close(conv(x, latent), plain.modulated_convolution(conv, x, latent))


@pytest.mark.parametrize("channels", [(5, 4, 3), (6, 7, 3, 2)])
def test_whole_networks_agree_and_learn_the_same(
    channels: tuple[int, ...], make_network: MakeNetwork
) -> None:
    network = make_network(Architecture(channels, 6, 3), 3).double()
    x = pictures(network.size, batch=2).double()
    restored, plainly = network(x), plain.restore(network, x)
    torch.testing.assert_close(restored, plainly)

    parameters = list(network.parameters())
    gradients = torch.autograd.grad(restored.square().mean(), parameters)
    for gradient, expected in zip(
        gradients, torch.autograd.grad(plainly.square().mean(), parameters), strict=True
    ):
        torch.testing.assert_close(gradient, expected)
        assert gradient.abs().max() > 0
