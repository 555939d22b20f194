from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bridge.engine.device import choose
from bridge.engine.runner import Runner
from bridge.engine.self_test import face_like
from bridge.errors import CheckpointForeign, ExtraMissing, OutputError, SelfTestFailed
from bridge.network import onnx_file
from tests.checkpoints.house import House, entry, pth

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    return tmp_path / "made.onnx"


def answer_of(path: Path, size: int) -> np.ndarray:
    """What another program gets: RGB in [-1, 1] into `input`, the picture out of `output`."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    crops = np.ascontiguousarray(face_like(size).transpose(0, 3, 1, 2)) * 2 - 1
    (answer,) = session.run(["output"], {"input": crops})
    return np.asarray(answer).transpose(0, 2, 3, 1) / 2 + 0.5


@pytest.mark.parametrize("output", ["absolute", "residual"])
@pytest.mark.parametrize("value_range", ["signed", "unit"])
def test_another_program_gets_what_the_bridge_gets(
    value_range: str, output: str, house: House, made: Path
) -> None:
    checkpoints = house.checkpoints(entry("mine", 16, input=value_range, output=output))
    source = pth(house.desk / "mine.pth")
    checkpoints.import_file(source, accept_licence=True)
    expected = Runner(checkpoints.open("mine"), choose("cpu")).run(face_like(16))
    for path in (source, house.user / "mine.safetensors"):  # known by either hash
        exported = checkpoints.export(path, made)
        assert exported.side == 16
        assert exported.difference < 1e-4
        np.testing.assert_allclose(answer_of(made, 16), expected, atol=1e-4)


def test_a_file_that_nobody_knows_is_taken_for_one_like_the_official_ones(house: House, made: Path) -> None:
    checkpoints = house.checkpoints(house.lite())
    assert checkpoints.export(pth(house.desk / "other.pth", side=32, seed=3), made).side == 32
    assert [entry.name for entry in checkpoints.installed()] == ["lite"]


@pytest.mark.parametrize(
    ("slope", "complaint"),
    [(-3.0, "differs from the CPU"), (0.201, "differs from torch by")],
    ids=["wrong", "less exact than float32 is"],
)
def test_one_that_computes_something_else_is_not_written(
    slope: float, complaint: str, house: House, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = house.checkpoints(house.lite())
    monkeypatch.setattr(onnx_file, "SLOPE", slope)
    with pytest.raises(SelfTestFailed, match=f"made.onnx was not written: .*{complaint}"):
        checkpoints.export(pth(house.desk / "other.pth"), made)
    assert list(made.parent.glob("*made*")) == []


def test_nothing_is_written_where_it_cannot_be_compared_or_kept(
    house: House, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoints = house.checkpoints(house.lite())
    source = pth(house.desk / "other.pth")
    with pytest.raises(OutputError):
        checkpoints.export(source, house.desk / "nowhere" / "made.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExtraMissing, match=r"gpen-enhance\[onnx\]"):
        checkpoints.export(source, made)
    assert not made.exists()


def test_what_was_written_is_not_taken_back_in(house: House, made: Path) -> None:
    """Its weights are folded into a graph; the checkpoint that it was made from is what to import."""
    checkpoints = house.checkpoints(house.lite())
    checkpoints.export(pth(house.desk / "other.pth"), made)
    with pytest.raises(CheckpointForeign, match="is an ONNX graph"):
        checkpoints.import_file(made, accept_licence=True)
    with pytest.raises(CheckpointForeign, match="is an ONNX graph"):
        checkpoints.export(made, made.with_name("again.onnx"))
    assert house.kept() == []
