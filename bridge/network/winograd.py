"""3 x 3 convolution by Winograd's minimal filtering, for CPUs: a quarter of the multiplications.

Owns the transforms and the walk over the picture; knows nothing of GPEN. F(4 x 4, 3 x 3) after
Lavin and Gray (arXiv 1509.09308) with the interpolation points 0, 1, -1, 1/2, -2, infinity of
Barabasz et al. (arXiv 1803.10986), which leave no more rounding error than direct convolution does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)  # and infinity
TAPS = 3
STEP = 4  # pixels of output on a tile's side
SIDE = STEP + TAPS - 1  # pixels of input on a tile's side
STRIPE_TILES = 128  # enough for an efficient matrix product, few enough to stay in the cache

Finish = Callable[[Tensor], object]


def transforms() -> tuple[Tensor, Tensor, Tensor]:
    """The matrices of Toom and Cook, float64, so that y = outward @ ((filter @ g) * (inward @ d)).

    Returns:
        inward, SIDE x SIDE; filter, SIDE x TAPS; outward, STEP x SIDE. For d of SIDE samples and g
        of TAPS taps, y are the STEP outputs of their correlation.
    """
    points = torch.tensor(POINTS, dtype=torch.float64)
    inward = torch.zeros(SIDE, SIDE, dtype=torch.float64)
    for row, point in enumerate(POINTS):
        inward[row, :-1] = _polynomial([other for other in POINTS if other != point])
    inward[-1] = _polynomial(list(POINTS))
    norms = torch.stack([(point - points[points != point]).prod() for point in points])
    at_infinity = torch.zeros(1, SIDE, dtype=torch.float64)
    at_infinity[0, -1] = 1.0
    powers = points[:, None] ** torch.arange(SIDE)
    filtering = torch.cat((powers[:, :TAPS] / norms[:, None], at_infinity[:, -TAPS:]))
    outward = torch.cat((powers[:, :STEP], at_infinity[:, -STEP:])).t()
    return inward, filtering, outward


def _polynomial(roots: list[float]) -> Tensor:
    """Coefficients of the monic polynomial with these roots, from the constant up."""
    coefficients = torch.ones(1, dtype=torch.float64)
    for root in roots:
        shifted = torch.cat((coefficients.new_zeros(1), coefficients))
        shifted[:-1] -= root * coefficients
        coefficients = shifted
    return coefficients


class WinogradConv(nn.Module):
    """Convolution of one picture, in float32.

    Args:
        weight: O x I x 3 x 3.
    """

    inward: Tensor
    outward: Tensor
    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        inward, filtering, outward = transforms()
        # Both axes at once: a tile becomes a column of 36, a transform one matrix product.
        self.register_buffer("inward", torch.kron(inward, inward).float())
        self.register_buffer("outward", torch.kron(outward, outward).float())
        in_tiles = torch.einsum("au,oiuv,bv->abio", filtering, weight.double(), filtering)
        self.register_buffer("weight", in_tiles.reshape(SIDE**2, *in_tiles.shape[2:]).float().contiguous())

    def forward(self, padded: Tensor, scale: Tensor, finish: Finish, out: Tensor) -> None:
        """Convolve padded * scale with the weight, finish the result and write it to `out`.

        Args:
            padded: (H + 2) x (W + 2) x I, channels last and contiguous, with a border of zeros; H and W
                are multiples of 4, and H / 4 of the stripes' height that W / 4 leads to (powers of two are).
            scale: I factors.
            finish: what follows, in place on ... x O: done while the numbers are still in the cache.
            out: H x W x O, strided as it likes.
        """
        _, padded_width, inputs = padded.shape
        height, width, outputs = out.shape
        across = width // STEP
        down = min(max(STRIPE_TILES // across, 1), height // STEP)
        tiles = down * across
        row = padded_width * inputs
        gathered = padded.new_empty(SIDE, SIDE, down, across, inputs)
        transformed = padded.new_empty(SIDE**2, tiles, inputs)
        products = padded.new_empty(SIDE**2, tiles, outputs)
        finished = padded.new_empty(STEP, STEP, down, across, outputs)
        for top in range(0, height, down * STEP):
            windows = padded.as_strided(
                gathered.shape,
                (row, inputs, STEP * row, STEP * inputs, 1),
                padded.storage_offset() + top * row,
            )
            torch.mul(windows, scale, out=gathered)
            torch.mm(self.inward, gathered.view(SIDE**2, -1), out=transformed.view(SIDE**2, -1))
            torch.bmm(transformed, self.weight, out=products)
            torch.mm(self.outward, products.view(SIDE**2, -1), out=finished.view(STEP**2, -1))
            finish(finished)
            stripe = out[top : top + down * STEP].view(down, STEP, across, STEP, outputs)
            stripe.copy_(finished.permute(2, 0, 3, 1, 4))
