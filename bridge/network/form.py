"""How crops become network tensors and back: a property of each checkpoint, applied in this one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class TensorForm:
    """The conventions that a checkpoint was trained with.

    Args:
        input: "signed" networks see [-1, 1], "unit" ones (GPEN-Seg2face) see [0, 1]; the output
            is in the same range.
        output: "absolute" networks give the picture, "residual" ones (GPEN-lite) what to add to the input.
    """

    input: Literal["signed", "unit"] = "signed"
    output: Literal["absolute", "residual"] = "absolute"

    def encode(self, crops: Tensor) -> Tensor:
        """N x 3 x S x S in [0, 1], RGB -> what the network takes."""
        return crops * 2 - 1 if self.input == "signed" else crops

    def decode(self, answer: Tensor, encoded: Tensor) -> Tensor:
        """The network's answer to `encoded` -> N x 3 x S x S, clipped to [0, 1]."""
        picture = answer + encoded if self.output == "residual" else answer
        if self.input == "signed":
            picture = picture * 0.5 + 0.5
        return picture.clamp(0, 1)
