from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from bridge.errors import CheckpointError, CheckpointForeign, CheckpointHashMismatch, ExtraMissing
from bridge.network.form import TensorForm
from bridge.network.gpen import GPEN
from bridge.network.opened import open_network
from tests.network.conftest import pictures

onnx = pytest.importorskip("onnx", reason="the package onnx builds these graphs")


def graph(
    path: Path, *, side: int | str = 16, batch: int | str = 1, channels: int = 3, kind: int = 1
) -> Path:
    """x -> -x / 2, which looks like a network from outside."""
    shape = [batch, channels, side, side]
    node = onnx.helper.make_node("Mul", ["input", "factor"], ["output"])
    factor = onnx.helper.make_tensor("factor", kind, [1], [-0.5])
    ports = [onnx.helper.make_tensor_value_info(name, kind, shape) for name in ("input", "output")]
    made = onnx.helper.make_graph([node], "half", ports[:1], ports[1:], [factor])
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(made, opset_imports=[opset], ir_version=8), path)
    return path


def test_a_state_dict_opens_by_content_and_answers_as_the_network(tiny: GPEN, tmp_path: Path) -> None:
    path = tmp_path / "misnamed.onnx"
    save_file(tiny.state_dict(), path)
    network = open_network(path)
    x = pictures(16, batch=2)
    with torch.no_grad():
        expected = tiny(x)
    assert network.size == 16
    assert network.bytes > 0
    torch.testing.assert_close(network(x), expected, atol=1e-4, rtol=0)
    network.to("cpu")
    torch.testing.assert_close(network(x), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("batch", [1, "batch"])
def test_an_onnx_graph_opens_and_takes_batches(batch: int | str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    path = graph(tmp_path / "misnamed.pth", batch=batch)
    network = open_network(
        path, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), size=path.stat().st_size
    )
    x = pictures(16, batch=3)
    network.to("cpu")
    assert network.size == 16
    assert network.bytes == path.stat().st_size
    assert torch.equal(network(x), x * -0.5)


def test_the_form_is_applied_around_the_network(tiny: GPEN, tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file(tiny.state_dict(), path)
    x = pictures(16, batch=1)
    residual = open_network(path, form=TensorForm(output="residual"))
    assert torch.equal(residual(x), open_network(path)(x) + x)


@pytest.mark.parametrize("wrong", [{"side": "any"}, {"channels": 1}, {"side": 8}, {"kind": 11}], ids=str)
def test_graphs_of_another_shape_are_foreign(wrong: dict[str, int], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(CheckpointForeign, match="not N x 3 x S x S"):
        open_network(graph(tmp_path / "a.onnx", **wrong))


def test_a_graph_with_two_outputs_is_foreign(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    model = onnx.load(graph(tmp_path / "a.onnx"))
    model.graph.node.append(onnx.helper.make_node("Neg", ["input"], ["more"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("more", 1, [1, 3, 16, 16]))
    onnx.save(model, tmp_path / "a.onnx")
    with pytest.raises(CheckpointForeign, match="1 inputs and 2 outputs"):
        open_network(tmp_path / "a.onnx")


def test_a_damaged_graph_is_a_named_error(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    content = graph(tmp_path / "a.onnx").read_bytes()
    (tmp_path / "a.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="ONNX Runtime"):
        open_network(tmp_path / "a.onnx")


def test_without_onnx_runtime_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExtraMissing, match=r"gpen-enhance\[onnx\]"):
        open_network(graph(tmp_path / "a.onnx"))


def test_an_onnx_graph_is_verified_first(tmp_path: Path) -> None:
    with pytest.raises(CheckpointHashMismatch):
        open_network(graph(tmp_path / "a.onnx"), sha256="0" * 64)
