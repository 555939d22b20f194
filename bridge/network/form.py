"""How a checkpoint wants its input and means its output: a property of each, applied in this one place.

Outside, crops are always [-1, 1] and an answer is always the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class TensorForm:
    """The conventions that a checkpoint was trained with.

    Args:
        input: "signed" networks see and give [-1, 1], "unit" ones (GPEN-Seg2face) [0, 1].
        output: "absolute" networks give the picture, "residual" ones (GPEN-lite) what to add to the input.
    """

    input: Literal["signed", "unit"] = "signed"
    output: Literal["absolute", "residual"] = "absolute"

    def encode(self, crops: Tensor) -> Tensor:
        """N x 3 x S x S in [-1, 1], RGB -> what the network takes."""
        return crops * 0.5 + 0.5 if self.input == "unit" else crops

    def decode(self, answer: Tensor, encoded: Tensor) -> Tensor:
        """The network's answer to `encoded` -> the picture, N x 3 x S x S in [-1, 1] but not clipped."""
        picture = answer + encoded if self.output == "residual" else answer
        return picture * 2 - 1 if self.input == "unit" else picture
