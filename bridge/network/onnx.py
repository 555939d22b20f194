"""A GPEN as an ONNX graph, run by ONNX Runtime on whatever it was built for.

Imports `onnxruntime` only when a graph is opened: it is an optional extra.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bridge.errors import CheckpointError, CheckpointForeign, DeviceUnavailable, ExtraMissing
from bridge.network.architecture import LARGEST_SIZE, SMALLEST_SIZE
from bridge.network.generator import RGB

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
TENSORRT, DIRECTML, COREML = "TensorrtExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider"
_PACKAGES = {TENSORRT: "onnxruntime-gpu and TensorRT", DIRECTML: "onnxruntime-directml"}


def require(provider: str = CPU) -> None:
    """Check that ONNX Runtime is installed and was built with a provider.

    Raises:
        ExtraMissing: it is not installed.
        DeviceUnavailable: it is, without that provider.
    """
    if provider not in _runtime().get_available_providers():
        package = _PACKAGES.get(provider, "onnxruntime for this system")
        raise DeviceUnavailable(
            f"This ONNX Runtime has no {provider}.", hint=f"Install {package}, or set `engine` to auto."
        )


class OnnxGraph:
    """A graph with one N x 3 x S x S float32 input and one output of the same shape.

    Args:
        model: a file, checked before (`checkpoint.verify`), not modified, and needed as long as this lives;
            or the bytes of one.
        provider: what runs it; None: CUDA where the device is that and ONNX Runtime has it, else the CPU.
        cache: folder where TensorRT keeps what it built, made when needed; None: it builds afresh each time.

    Raises:
        ExtraMissing: ONNX Runtime is not installed.
        DeviceUnavailable: it lacks the provider.
        CheckpointError: it does not accept the file.
        CheckpointForeign: the graph takes or gives something else.
    """

    def __init__(
        self, model: Path | bytes, *, provider: str | None = None, cache: Path | None = None
    ) -> None:
        require(provider or CPU)
        self._model = model
        self._provider = provider
        self._cache = cache
        self._name = model.name if isinstance(model, Path) else "The network"
        self.bytes = model.stat().st_size if isinstance(model, Path) else len(model)
        self.settle("cpu")
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise CheckpointForeign(
                f"{self._name} has {len(inputs)} inputs and {len(outputs)} outputs, not one each."
            )
        self._input = inputs[0].name
        self.size = _size(self._name, inputs[0])
        # Most exports fix the batch at one; TensorRT, DirectML and CoreML build anew for each size of it.
        self._together = provider is None and not isinstance(inputs[0].shape[0], int)

    def settle(self, device: torch.device | str) -> None:
        """Run there from now on; a provider that was named runs where it can, whatever the device."""
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors only: warnings would go to stderr, past the log
        if self._provider == DIRECTML:  # it works in no other way
            options.enable_mem_pattern = False
            options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
        try:
            self._session: Any = runtime.InferenceSession(
                self._model, options, providers=self._providers(torch.device(device))
            )
        except Exception as error:  # its exceptions have no common base that it exports
            raise CheckpointError(f"{self._name} is no graph that ONNX Runtime can run: {error}") from error
        # Without its libraries a provider is dropped, and the next one runs instead of it.
        if self._provider not in (None, *self._session.get_providers()):
            raise DeviceUnavailable(f"{self._provider} does not run here; the log of ONNX Runtime says why.")

    def __call__(self, x: Tensor) -> Tensor:
        """N x 3 x size x size float32, RGB -> the same layout, on the device of `x`."""
        parts = torch.split(x.cpu(), len(x) if self._together else 1)
        answers = [self._session.run(None, {self._input: part.numpy()})[0] for part in parts]
        return torch.cat([torch.from_numpy(answer) for answer in answers]).to(x.device)

    def _providers(self, device: torch.device) -> list[str | tuple[str, dict[str, Any]]]:
        """In the order in which ONNX Runtime shall try them."""
        if self._provider is None:
            on_cuda = device.type == "cuda" and CUDA in _runtime().get_available_providers()
            return [(CUDA, {"device_id": device.index or 0}), CPU] if on_cuda else [CPU]
        if self._provider != TENSORRT:
            return [self._provider, CPU]
        settings: dict[str, Any] = {"device_id": device.index or 0}
        if self._cache is not None:
            self._cache.mkdir(parents=True, exist_ok=True)
            settings |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(self._cache)}
        return [(TENSORRT, settings), (CUDA, {"device_id": device.index or 0}), CPU]


def _runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise ExtraMissing("ONNX checkpoints need: pip install 'gpen-enhance[onnx]'.") from error
    return onnxruntime


def _size(name: str, port: Any) -> int:
    shape = port.shape
    fits = port.type == "tensor(float)" and len(shape) == 4 and shape[1] == RGB and shape[2] == shape[3]
    if not (fits and isinstance(shape[2], int) and SMALLEST_SIZE <= shape[2] <= LARGEST_SIZE):
        raise CheckpointForeign(f"{name} takes {port.type} of shape {shape}, not N x 3 x S x S float32.")
    return int(shape[2])
