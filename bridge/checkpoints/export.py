"""A checkpoint as an ONNX file for other programs: written by us, and shown to compute what torch computes.

Owns the order of things and how much the file may differ; knows nothing of names, terms and trust.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.atomic import write_file
from bridge.errors import SelfTestFailed

if TYPE_CHECKING:
    from bridge.network.form import TensorForm

MOST = 1e-3
"""Largest difference from torch, of crops in [0, 1]: float32 in another order of sums stays far below."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        side: of input and output, in pixels.
        difference: largest, from torch in float32 on the CPU, of a made-up crop in [0, 1].
    """

    side: int
    difference: float


def export(source: Path, form: TensorForm, destination: Path, source_sha256: str) -> Exported:
    """Write an ONNX file that appears whole, after it was compared, or not at all.

    Args:
        source: safetensors or PyTorch; read as data, never run.
        form: what that network takes and gives; the file takes and gives the picture in [-1, 1].
        source_sha256: of `source`; the file tells it.

    Raises:
        CheckpointUnsafe, CheckpointForeign, CheckpointTruncated, CheckpointError: it is no sound GPEN.
        ExtraMissing: `onnx` or `onnxruntime`, which compares, is not installed.
        SelfTestFailed: ONNX Runtime makes something else of it than torch.
        OutputError: the destination cannot be written.
    """
    from bridge.engine.device import choose
    from bridge.engine.runner import Runner
    from bridge.engine.self_test import examine, face_like
    from bridge.network import checkpoint, onnx
    from bridge.network.form import TensorForm
    from bridge.network.inference import fold
    from bridge.network.onnx_file import onnx_bytes, require_onnx
    from bridge.network.opened import Network

    require_onnx()
    onnx.require()
    network = checkpoint.assemble(checkpoint.read_state_dict(source))
    content = onnx_bytes(network, form, {"source_sha256": source_sha256})
    cpu = choose("cpu")
    expected = Runner(Network(fold(network), form), cpu).run(face_like(network.size))
    written = Runner(Network(onnx.OnnxGraph(content), TensorForm()), cpu)
    try:
        difference = examine(written, expected, exact=True)
    except SelfTestFailed as error:
        raise SelfTestFailed(f"{destination.name} was not written: {error.detail}", hint=_HINT) from error
    if difference > MOST:
        raise SelfTestFailed(
            f"{destination.name} was not written: it differs from torch by {difference:.1e}.", hint=_HINT
        )
    write_file(destination, content)
    return Exported(network.size, difference)


_HINT = "Update ONNX Runtime; if that changes nothing, report the checkpoint and both versions."
