"""A GPEN as an ONNX graph, run by ONNX Runtime: the other road to the same answer.

Imports `onnxruntime` only when a graph is opened: it is an optional extra.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bridge.errors import CheckpointError, CheckpointForeign, ExtraMissing
from bridge.network.architecture import LARGEST_SIZE, SMALLEST_SIZE
from bridge.network.generator import RGB

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


class OnnxGraph:
    """A graph with one N x 3 x S x S float32 input and one output of the same shape.

    Args:
        path: the graph; checked before (`checkpoint.verify`), not modified, and needed as long as this lives.

    Raises:
        ExtraMissing: ONNX Runtime is not installed.
        CheckpointError: it does not accept the file.
        CheckpointForeign: the graph takes or gives something else.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.bytes = path.stat().st_size
        self.settle("cpu")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise CheckpointForeign(
                f"{path.name} has {len(inputs)} inputs and {len(outputs)} outputs, not one each."
            )
        self._input = inputs[0].name
        self.size = _size(path, inputs[0])

    def settle(self, device: torch.device | str) -> None:
        """Run there from now on: on CUDA where ONNX Runtime was built with it, on the CPU everywhere else."""
        try:
            import onnxruntime
        except ImportError as error:
            raise ExtraMissing("ONNX checkpoints need: pip install 'gpen-enhance[onnx]'.") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors only: warnings would go to stderr, past the log
        on_cuda = torch.device(device).type == "cuda" and CUDA in onnxruntime.get_available_providers()
        try:
            self._session: Any = onnxruntime.InferenceSession(
                self._path, options, providers=[CUDA, CPU] if on_cuda else [CPU]
            )
        except Exception as error:  # its exceptions have no common base that it exports
            raise CheckpointError(
                f"{self._path.name} is no graph that ONNX Runtime can run: {error}"
            ) from error

    def __call__(self, x: Tensor) -> Tensor:
        """N x 3 x size x size float32, RGB -> the same layout, on the device of `x`.

        One picture at a time, because most exports fix the batch at one.
        """
        answers = [self._session.run(None, {self._input: one.cpu().numpy()})[0] for one in torch.split(x, 1)]
        return torch.cat([torch.from_numpy(answer) for answer in answers]).to(x.device)


def _size(path: Path, port: Any) -> int:
    shape = port.shape
    fits = port.type == "tensor(float)" and len(shape) == 4 and shape[1] == RGB and shape[2] == shape[3]
    if not (fits and isinstance(shape[2], int) and SMALLEST_SIZE <= shape[2] <= LARGEST_SIZE):
        raise CheckpointForeign(f"{path.name} takes {port.type} of shape {shape}, not N x 3 x S x S float32.")
    return int(shape[2])
