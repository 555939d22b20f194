"""What a GPEN is made of, as numbers alone: widths, depths and how to read them off a state dict.

Knows no tensors and no torch: shapes go in, numbers come out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from bridge.errors import CheckpointForeign

Shape = tuple[int, ...]

SMALLEST_SIZE = 16
LARGEST_SIZE = 4096
LARGEST_WIDTH = 4096
DEEPEST_MLP = 64
FULL_WIDTH = 512
# Base width of the published table at 64, 128, ... pixels, before the two multipliers.
_TAPERED_WIDTH = {64: 256, 128: 128, 256: 64, 512: 32, 1024: 16, 2048: 8, 4096: 4}


@dataclass(frozen=True)
class Architecture:
    """The free choices of a GPEN with concatenated skips (all published ones have them).

    Args:
        channels: feature maps of encoder and decoder at 4, 8, 16, ... pixels; its length sets the size.
        style_dim: length of the latent that feeds every layer.
        mlp_depth: fully connected layers of the mapping network.

    Raises:
        ValueError: a number is outside the bounds above.
    """

    channels: tuple[int, ...]
    style_dim: int = 512
    mlp_depth: int = 8

    def __post_init__(self) -> None:
        if not SMALLEST_SIZE <= self.size <= LARGEST_SIZE:
            raise ValueError(f"size {self.size} is outside {SMALLEST_SIZE} to {LARGEST_SIZE}")
        if not all(1 <= width <= LARGEST_WIDTH for width in (*self.channels, self.style_dim)):
            raise ValueError(f"a width is outside 1 to {LARGEST_WIDTH}: {self.channels}, {self.style_dim}")
        if not 1 <= self.mlp_depth <= DEEPEST_MLP:
            raise ValueError(f"mapping depth {self.mlp_depth} is outside 1 to {DEEPEST_MLP}")

    @property
    def size(self) -> int:
        """Side of input and output in pixels."""
        return int(2 ** (len(self.channels) + 1))

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ..., size."""
        return tuple(2 ** (i + 2) for i in range(len(self.channels)))

    def width(self, resolution: int) -> int:
        """Feature maps at `resolution` pixels, a power of two from 4 to `size`."""
        return self.channels[resolution.bit_length() - 3]

    @classmethod
    def from_multipliers(
        cls, size: int, channel_multiplier: float, narrow: float, style_dim: int = 512, mlp_depth: int = 8
    ) -> Self:
        """The widths of the published family.

        512 up to 32 pixels, then halved with every doubling and multiplied by `channel_multiplier`;
        all of it times `narrow` and truncated, in this order (it matters for odd values).
        """
        resolutions = [2**i for i in range(2, size.bit_length())]
        if not resolutions or resolutions[-1] != size:
            raise ValueError(f"size {size} is not a power of two")
        widths = tuple(
            int(FULL_WIDTH * narrow) if r <= 32 else int((_TAPERED_WIDTH[r] * channel_multiplier) * narrow)
            for r in resolutions
        )
        return cls(widths, style_dim, mlp_depth)

    @property
    def multipliers(self) -> tuple[float, float] | None:
        """A (channel_multiplier, narrow) that gives these widths; None where none of this rule does.

        Truncation makes the pair ambiguous, so one is chosen: narrow from the 4-pixel width, the
        multiplier from the 64-pixel width, and 2 (the published default) where the size stops short of it.
        """
        narrow = self.channels[0] / FULL_WIDTH
        multiplier = 2.0 if self.size < 64 else self.width(64) / (_TAPERED_WIDTH[64] * narrow)
        found = self.from_multipliers(self.size, multiplier, narrow, self.style_dim, self.mlp_depth)
        return (multiplier, narrow) if found == self else None

    @classmethod
    def deduced(cls, shapes: Mapping[str, Shape]) -> Self:
        """Read the architecture off the shapes of a state dict; `gpen.check_layout` then checks every entry.

        Raises:
            CheckpointForeign: an entry that every GPEN has is missing or has an impossible shape.
        """
        encoders = _count(shapes, "ecd{}.0.{}.weight", first=0)
        depth = _count(shapes, "generator.style.{}.weight", first=1)
        if encoders < 1 or depth < 1:
            lacking = "an encoder (ecd0...)" if encoders < 1 else "a mapping network (generator.style...)"
            raise CheckpointForeign(f"The file lacks {lacking}, so it is not a GPEN generator.")
        # ecd0 works at full size; each further one halves it and the last one arrives at 4 pixels.
        widths = tuple(
            _axis(shapes, f"ecd{i}.0.{0 if i == 0 else 1}.weight", axis=0) for i in reversed(range(encoders))
        )
        style_dim = _axis(shapes, "generator.style.1.weight", axis=0)
        try:
            return cls(widths, style_dim, depth)
        except ValueError as error:
            raise CheckpointForeign(f"The file's layers fit no GPEN: {error}.") from error


def _count(shapes: Mapping[str, Shape], pattern: str, first: int) -> int:
    """How many consecutively numbered layers there are."""
    count = 0
    while any(pattern.format(first + count, part) in shapes for part in (0, 1)):
        count += 1
    return count


def _axis(shapes: Mapping[str, Shape], key: str, axis: int) -> int:
    try:
        return shapes[key][axis]
    except (KeyError, IndexError):
        raise CheckpointForeign(f"The entry {key} is missing or has no dimensions.") from None
