"""GPEN written as an ONNX graph, for ONNX Runtime and whatever else reads the format.

Imports `onnx` only when a graph is written: it is an optional extra.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bridge.errors import ExtraMissing
from bridge.network.form import TensorForm
from bridge.network.gpen import GPEN
from bridge.network.graph import write
from bridge.network.inference import InferenceNetwork
from bridge.network.layers import SLOPE

OPSET = 17
IR_VERSION = 8  # what ONNX Runtime has read since 1.12
INPUT, OUTPUT, BATCH = "input", "output", "batch"
LAYOUT = "batch x RGB x height x width, float32, sRGB-encoded, -1 to 1"


def onnx_bytes(
    network: GPEN, form: TensorForm | None = None, about: Mapping[str, str] | None = None
) -> bytes:
    """The network as a file: one input and one output, N x 3 x size x size float32, any N.

    Equal arguments give equal bytes.

    Args:
        form: put around the network, so that the file takes and gives the picture in [-1, 1] whatever the
            network does; None: the network as it is.
        about: kept in the file beside the description of input and output.

    Raises:
        ExtraMissing: the package `onnx` is not installed.
    """
    require_onnx()
    from onnx import TensorProto, helper

    form = form or TensorForm()
    writer = _Writer(form)
    with torch.no_grad():
        source, answer = write(InferenceNetwork(network), writer)
    writer.node("Identity", [writer.decoded(answer, source)], OUTPUT)
    shape: list[str | int | None] = [BATCH, 3, network.size, network.size]
    graph = helper.make_graph(
        writer.nodes,
        "GPEN",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, shape)],
        writer.weights,
    )
    imports = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, producer_name="gpen-enhance", opset_imports=imports, ir_version=IR_VERSION
    )
    helper.set_model_props(model, {INPUT: LAYOUT, OUTPUT: f"{LAYOUT}, not clipped", **(about or {})})
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def require_onnx() -> None:
    """Raises ExtraMissing: the package `onnx` is not installed."""
    try:
        import onnx  # noqa: F401 asked for, not used
    except ImportError as error:
        raise ExtraMissing("Writing ONNX needs: pip install 'gpen-enhance[onnx]'.") from error


class _Writer:
    """The `GraphWriter` of ONNX."""

    def __init__(self, form: TensorForm) -> None:
        self._form = form
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """Add a layer."""
        from onnx import helper

        output = output or f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def decoded(self, answer: str, encoded: str) -> str:
        """`TensorForm.decode`."""
        picture = self.add(answer, encoded) if self._form.output == "residual" else answer
        return self._affine(picture, 2.0, -1.0) if self._form.input == "unit" else picture

    def picture(self, channels: int, side: int) -> str:
        return self._affine(INPUT, 0.5, 0.5) if self._form.input == "unit" else INPUT

    def constant(self, value: Tensor) -> str:
        return self._stored(value)

    def convolution(
        self,
        x: str,
        weight: Tensor,
        bias: Tensor | None,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        activated: bool = False,
    ) -> str:
        inputs = [x, self._stored(weight), *([] if bias is None else [self._stored(bias)])]
        x = self.node("Conv", inputs, strides=[stride] * 2, pads=[padding] * 4, group=groups)
        return self._activated(x) if activated else x

    def transposed(self, x: str, weight: Tensor, *, padding: int = 0, groups: int = 1) -> str:
        inputs = [x, self._stored(weight)]
        return self.node("ConvTranspose", inputs, strides=[2, 2], pads=[padding] * 4, group=groups)

    def linear(self, x: str, weight: Tensor, bias: Tensor, *, activated: bool = False) -> str:
        x = self.node("Gemm", [x, self._stored(weight), self._stored(bias)], transB=1)
        return self._activated(x) if activated else x

    def flatten(self, x: str) -> str:
        return self.node("Flatten", [x])

    def square(self, x: str) -> str:
        return self.node("Mul", [x, x])

    def inverse_root(self, x: str) -> str:
        return self.node("Reciprocal", [self.node("Sqrt", [x])])

    def multiply(self, x: str, y: str) -> str:
        return self.node("Mul", [x, y])

    def scale(self, x: str, factors: str) -> str:
        return self.node("Mul", [x, self.node("Unsqueeze", [factors, self._stored(torch.tensor([2, 3]))])])

    def finish(self, x: str, factors: str, bias: Tensor) -> str:
        offsets = self._stored(bias.reshape(1, -1, 1, 1))
        return self._activated(self.node("Add", [self.scale(x, factors), offsets]))

    def add(self, x: str, y: str) -> str:
        return self.node("Add", [x, y])

    def concatenate(self, x: str, y: str) -> str:
        return self.node("Concat", [x, y], axis=1)

    def _affine(self, x: str, factor: float, offset: float) -> str:
        scaled = self.node("Mul", [x, self._stored(torch.tensor(factor))])
        return self.node("Add", [scaled, self._stored(torch.tensor(offset))])

    def _activated(self, x: str) -> str:
        return self.node("LeakyRelu", [x], alpha=SLOPE)

    def _stored(self, value: Tensor) -> str:
        from onnx import numpy_helper

        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value.detach().numpy()), name))
        return name
