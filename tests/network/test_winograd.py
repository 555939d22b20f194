from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from bridge.network.winograd import SIDE, STEP, TAPS, WinogradConv, transforms


def test_transforms_compute_a_correlation_exactly() -> None:
    inward, filtering, outward = transforms()
    samples = torch.randn(SIDE, dtype=torch.float64)
    taps = torch.randn(TAPS, dtype=torch.float64)
    expected = torch.stack([samples[i : i + TAPS] @ taps for i in range(STEP)])
    torch.testing.assert_close(outward @ ((filtering @ taps) * (inward @ samples)), expected)


@given(st.sampled_from([4, 8, 32, 64]), st.integers(1, 40), st.integers(1, 12), st.integers(0, 2**16))
@settings(max_examples=25)
def test_agrees_with_direct_convolution_scaled_and_finished(
    side: int, inputs: int, outputs: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(side, side, inputs, generator=generator)
    weight = torch.randn(outputs, inputs, 3, 3, generator=generator) / (3 * inputs**0.5)
    scale = torch.randn(inputs, generator=generator)
    padded = functional.pad(x, (0, 0, 1, 1, 1, 1))
    out = torch.full((side, side, 2 * outputs), 7.0)

    WinogradConv(weight)(padded, scale, lambda y: y.mul_(3).add_(1), out=out[..., :outputs])

    scaled = (x * scale).double().permute(2, 0, 1)[None]
    direct = functional.conv2d(scaled, weight.double(), padding=1)[0].permute(1, 2, 0) * 3 + 1
    torch.testing.assert_close(out[..., :outputs].double(), direct, atol=1e-4, rtol=0)
    assert bool((out[..., outputs:] == 7).all())


def test_rounds_no_worse_than_twice_direct_convolution() -> None:
    """Summed one by one in float32: how a library sums, and so what it rounds, depends on the processor."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 512, 32, 32, generator=generator)
    weight = torch.randn(64, 512, 3, 3, generator=generator) / (9 * 512) ** 0.5
    exact = functional.conv2d(x.double(), weight.double(), padding=1)[0].flatten(1)
    out = torch.empty(32, 32, 64)
    padded = functional.pad(x, (1, 1, 1, 1))[0].permute(1, 2, 0).contiguous()

    WinogradConv(weight)(padded, torch.ones(512), lambda y: None, out=out)

    seen = functional.unfold(x, 3, padding=1)[0, :, ::15]  # all places of a tile
    products = weight.flatten(1)[:, :, None].numpy() * seen.numpy()
    one_by_one = torch.from_numpy(np.cumsum(products, axis=1, dtype=np.float32)[:, -1])
    error = (out.permute(2, 0, 1).flatten(1) - exact).square().mean().sqrt()
    direct_error = (one_by_one - exact[:, ::15]).square().mean().sqrt()
    assert error < 2 * direct_error, f"{error:.1e}, {direct_error:.1e}"
