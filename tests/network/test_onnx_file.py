from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from bridge.errors import DeviceUnavailable, ExtraMissing
from bridge.network import checkpoint, plain
from bridge.network import onnx as door
from bridge.network.architecture import Architecture
from bridge.network.form import TensorForm
from bridge.network.gpen import GPEN
from bridge.network.inference import fold
from bridge.network.onnx import COREML, CPU, CUDA, DIRECTML, TENSORRT, OnnxGraph, require
from bridge.network.onnx_file import onnx_bytes
from bridge.network.opened import Network
from tests.network.conftest import MakeNetwork, pictures

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
GOLDEN = Path(__file__).parents[1] / "golden" / "network-tiny.safetensors"


def test_the_file_is_valid_and_answers_the_golden_inputs() -> None:
    golden = load_file(GOLDEN)
    weights = {key.removeprefix("w."): value for key, value in golden.items() if key.startswith("w.")}
    model = onnx_bytes(checkpoint.assemble(weights))
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    torch.testing.assert_close(OnnxGraph(model)(golden["in"]).double(), golden["out"], atol=1e-4, rtol=0)


def test_it_takes_any_number_of_pictures_at_once(make_network: MakeNetwork) -> None:
    network = make_network(Architecture((12, 8, 10, 6), 16, 2), 4)
    x = pictures(network.size, batch=3)
    session = onnxruntime.InferenceSession(onnx_bytes(network), providers=[CPU])
    together = torch.from_numpy(session.run(None, {"input": x.numpy()})[0])
    with torch.no_grad():
        exact = plain.restore(network.double(), x.double())
    torch.testing.assert_close(together.double(), exact, atol=1e-4, rtol=0)


def test_a_file_of_single_pictures_gets_them_one_by_one(tiny: GPEN) -> None:
    model = onnx.load_model_from_string(onnx_bytes(tiny))
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_value = 1
    x = pictures(tiny.size, batch=3)
    torch.testing.assert_close(OnnxGraph(model.SerializeToString())(x), fold(tiny)(x), atol=1e-4, rtol=0)


@pytest.mark.parametrize("output", ["absolute", "residual"])
@pytest.mark.parametrize("value_range", ["signed", "unit"])
def test_with_a_form_the_file_gives_the_picture_whatever_the_network_does(
    value_range: Any, output: Any, tiny: GPEN
) -> None:
    form = TensorForm(value_range, output)
    x = pictures(tiny.size, batch=2)
    model = onnx_bytes(tiny, form)
    onnx.checker.check_model(onnx.load_model_from_string(model), full_check=True)
    expected = Network(fold(tiny), form)(x)
    torch.testing.assert_close(OnnxGraph(model)(x), expected, atol=1e-4, rtol=0)


def test_the_file_describes_itself_and_is_the_same_each_time(tiny: GPEN) -> None:
    model = onnx_bytes(tiny, about={"source_sha256": "ab"})
    assert model == onnx_bytes(tiny, about={"source_sha256": "ab"})
    told = {prop.key: prop.value for prop in onnx.load_model_from_string(model).metadata_props}
    assert told["source_sha256"] == "ab"
    assert "RGB" in told["input"]
    assert "-1 to 1" in told["output"]


@pytest.mark.slow
def test_a_network_of_the_published_size_differs_by_less_than_a_thousandth() -> None:
    torch.manual_seed(0)
    network = GPEN(Architecture.from_multipliers(256, 1, 0.5)).eval()
    x = pictures(256, batch=1)
    with torch.no_grad():
        torch.testing.assert_close(OnnxGraph(onnx_bytes(network))(x), network(x), atol=1e-3, rtol=0)


def test_without_the_extra_it_says_what_to_install(tiny: GPEN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ExtraMissing, match=r"gpen-enhance\[onnx\]"):
        onnx_bytes(tiny)


def test_a_provider_that_is_not_built_in_is_named() -> None:
    for provider in {TENSORRT, DIRECTML, COREML} - set(onnxruntime.get_available_providers()):
        with pytest.raises(DeviceUnavailable, match=provider):
            require(provider)


class FakeRuntime:
    """ONNX Runtime built for everything; sessions say what they were asked for."""

    SessionOptions = SimpleNamespace
    ExecutionMode = SimpleNamespace(ORT_SEQUENTIAL=0)

    def __init__(self, *, works: Callable[[str], bool] = lambda provider: True) -> None:
        self.asked: list[Any] = []
        self.passes: list[int] = []
        self._works = works

    def get_available_providers(self) -> list[str]:
        return [TENSORRT, CUDA, DIRECTML, COREML, CPU]

    def InferenceSession(self, model: bytes, options: SimpleNamespace, providers: list[Any]) -> Any:  # noqa: N802 its name
        self.asked, self.options = providers, options
        port = SimpleNamespace(name="input", type="tensor(float)", shape=["batch", 3, 16, 16])
        names = [one if isinstance(one, str) else one[0] for one in providers]
        return SimpleNamespace(
            get_inputs=lambda: [port],
            get_outputs=lambda: [port],
            get_providers=lambda: [name for name in names if self._works(name)],
            run=lambda _, inputs: self.passes.append(len(inputs["input"])) or [inputs["input"]],
        )


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    fake = FakeRuntime()
    monkeypatch.setattr(door, "_runtime", lambda: fake)
    return fake


def test_cuda_is_used_where_the_device_is_that(runtime: FakeRuntime) -> None:
    graph = OnnxGraph(b"")
    assert runtime.asked == [CPU]
    graph.settle("cuda:1")
    assert runtime.asked == [(CUDA, {"device_id": 1}), CPU]


def test_pictures_share_a_pass_but_where_each_number_of_them_is_built_for(runtime: FakeRuntime) -> None:
    x = torch.rand(3, 3, 16, 16)
    for provider, passes in ((None, [3]), (TENSORRT, [1, 1, 1]), (COREML, [1, 1, 1])):
        runtime.passes.clear()
        torch.testing.assert_close(OnnxGraph(b"", provider=provider)(x), x, atol=0, rtol=0)
        assert runtime.passes == passes


def test_tensorrt_keeps_its_engines_and_has_cuda_behind_it(runtime: FakeRuntime, tmp_path: Path) -> None:
    OnnxGraph(b"", provider=TENSORRT, cache=tmp_path / "built").settle("cuda:0")
    (name, settings), (second, _), third = runtime.asked
    assert (name, second, third) == (TENSORRT, CUDA, CPU)
    assert settings["trt_engine_cache_enable"]
    assert Path(settings["trt_engine_cache_path"]).is_dir()


@pytest.mark.parametrize("provider", [DIRECTML, COREML])
def test_other_gpus_have_the_processor_behind_them(runtime: FakeRuntime, provider: str) -> None:
    OnnxGraph(b"", provider=provider)
    assert runtime.asked == [provider, CPU]
    assert hasattr(runtime.options, "enable_mem_pattern") is (provider == DIRECTML)


def test_a_provider_that_does_not_come_up_is_not_mistaken_for_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "_runtime", lambda: FakeRuntime(works=lambda provider: provider == CPU))
    with pytest.raises(DeviceUnavailable, match=DIRECTML):
        OnnxGraph(b"", provider=DIRECTML)
