from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from bridge.engine.device import Device, choose
from bridge.engine.engine import Engine
from bridge.engine.runner import OpenedNetwork
from bridge.engine.selection import Selection, engines_for
from bridge.engine.trials import UNFINISHED
from bridge.errors import BridgeError, CheckpointTruncated, DeviceUnavailable, ExtraMissing, SelfTestFailed
from bridge.network import checkpoint
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN
from bridge.network.opened import open_network
from tests.engine.fakes import CPU, GPU, some_crops

SIDE = 16


class Network:
    """Gives half of its input plus an error, after some time on the test's clock."""

    size = SIDE
    bytes = 100

    def __init__(self, on_pass: Callable[[], float]) -> None:
        self._on_pass = on_pass

    def to(self, device: str) -> None:
        pass

    def __call__(self, crops: torch.Tensor) -> torch.Tensor:
        return crops * 0.5 + self._on_pass()


@dataclass
class FakeKind:
    lacks: BridgeError | None = None
    version: str = "1"

    def require(self) -> None:
        if self.lacks:
            raise self.lacks


class Bench:
    """A library whose networks take the seconds that a test says, and make the errors that it says."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.errors: dict[str, float] = {}
        self.faults: dict[str, BaseException] = {}
        self.kinds = {engine: FakeKind() for engine in seconds}
        self.opened: list[str] = []
        self.now = 0.0
        self.digest = "00"

    def open(self, name: str, engine: str = "torch") -> OpenedNetwork:
        self.opened.append(engine)
        if engine in self.faults:
            raise self.faults[engine]

        def on_pass() -> float:
            self.now += self.seconds[engine]
            return self.errors.get(engine, 0.0)

        return Network(on_pass)

    def sha256(self, name: str) -> str:
        return self.digest

    def selection(self, file: Path | None = None, device: Device = CPU) -> Selection:
        return Selection(self, device, list(self.seconds), file, kinds=self.kinds, clock=lambda: self.now)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "engines.json"


def served(selection: Selection) -> str:
    selection.open("lite")
    return selection.chosen["lite"]


def test_the_fastest_engine_serves_and_is_remembered(file: Path) -> None:
    bench = Bench(torch=1.0, ncnn=0.4, onnx=0.6)
    assert served(bench.selection(file)) == "ncnn"
    bench.opened.clear()
    again = bench.selection(file)
    assert served(again) == "ncnn"
    assert bench.opened == ["ncnn"]
    record = again.record("lite")
    assert record is not None
    assert {trial.engine: trial.seconds for trial in record.trials} == pytest.approx(bench.seconds)


def test_an_engine_that_is_off_never_serves_however_fast(file: Path) -> None:
    bench = Bench(torch=1.0, ncnn=0.1)
    bench.errors["ncnn"] = 0.2
    selection = bench.selection(file)
    assert served(selection) == "torch"
    record = selection.record("lite")
    assert record is not None
    assert "differs from the CPU's torch" in (record.trials[1].problem or "")


@pytest.mark.parametrize(
    "change",
    [
        lambda bench: setattr(bench, "digest", "01"),
        lambda bench: setattr(bench.kinds["ncnn"], "version", "2"),
        lambda bench: setattr(bench.kinds["onnx"], "lacks", None),
    ],
    ids=["another checkpoint", "another version", "another engine"],
)
def test_it_is_tried_again_when_something_changed(change: Callable[[Bench], None], file: Path) -> None:
    bench = Bench(torch=1.0, ncnn=0.4, onnx=0.1)
    bench.kinds["onnx"].lacks = ExtraMissing("Not installed.")
    assert served(bench.selection(file)) == "ncnn"
    change(bench)
    assert bench.selection(file).record("lite") is None


def test_on_a_cpu_with_torch_alone_nothing_is_tried(file: Path) -> None:
    bench = Bench(torch=1.0, ncnn=0.1)
    bench.kinds["ncnn"].lacks = ExtraMissing("pip install 'gpen-enhance[ncnn]'")
    selection = bench.selection(file)
    assert served(selection) == "torch"
    assert bench.opened == ["torch"]
    record = selection.record("lite")
    assert record is not None
    assert record.trials[1].problem == "pip install 'gpen-enhance[ncnn]'"
    assert not file.exists()


def test_on_a_gpu_torch_itself_is_tried(file: Path) -> None:
    bench = Bench(torch=1.0)
    assert served(bench.selection(file, GPU)) == "torch"
    assert file.exists()


@pytest.mark.parametrize(
    "fault", [RuntimeError("driver\nmore"), DeviceUnavailable("driver"), OSError("driver")]
)
def test_an_engine_that_fails_is_passed_over(fault: Exception, file: Path) -> None:
    bench = Bench(torch=1.0, ncnn=0.1)
    bench.faults["ncnn"] = fault
    selection = bench.selection(file)
    assert served(selection) == "torch"
    record = selection.record("lite")
    assert record is not None
    assert record.trials[1].problem == "driver"


def test_a_damaged_checkpoint_is_not_held_against_the_engine(file: Path) -> None:
    bench = Bench(torch=1.0, ncnn=0.1)
    bench.faults["ncnn"] = CheckpointTruncated("It ends too early.")
    with pytest.raises(CheckpointTruncated):
        bench.selection(file).open("lite")


class ProcessEnds(BaseException):
    """Stands for a crash."""


def test_an_engine_that_ends_the_process_is_not_tried_again(file: Path) -> None:
    bench = Bench(torch=1.0, ncnn=0.1, onnx=0.5)
    bench.faults["ncnn"] = ProcessEnds()
    with pytest.raises(ProcessEnds):
        bench.selection(file).open("lite")
    selection = bench.selection(file)
    assert served(selection) == "onnx"
    record = selection.record("lite")
    assert record is not None
    assert record.trials[1].problem == UNFINISHED

    del bench.faults["ncnn"]
    assert selection.measure("lite", afresh=True).chosen == "ncnn"


def test_a_named_engine_must_be_there_and_right(file: Path) -> None:
    bench = Bench(ncnn=1.0, torch=1.0)
    named = Selection(bench, CPU, ["ncnn"], file, kinds=bench.kinds, clock=lambda: bench.now)
    assert served(named) == "ncnn"
    bench.digest = "01"
    bench.errors["ncnn"] = 0.2
    with pytest.raises(SelfTestFailed, match=r"No engine may run lite on .* ncnn: It differs"):
        named.open("lite")
    bench.kinds["ncnn"].lacks = ExtraMissing("Not installed.")
    with pytest.raises(ExtraMissing):
        named.open("lite")


def test_which_engines_are_tried_follows_the_device_and_the_settings() -> None:
    assert engines_for("auto", "auto", CPU) == ("torch", "ncnn", "onnx", "ncnn-vulkan", "onnx-directml")
    assert engines_for("auto", "cpu", CPU) == ("torch", "ncnn", "onnx")
    assert "torch-graphs" in engines_for("auto", "auto", Device("cuda:0", "a GPU", 1))
    assert "onnx-coreml" in engines_for("auto", "auto", Device("mps", "a Mac", 1))
    assert engines_for("ncnn-vulkan", "auto", CPU) == ("ncnn-vulkan",)


def test_with_real_engines_whichever_serves_gives_torchs_numbers(tmp_path: Path, file: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    checkpoint.save(GPEN(Architecture((8, 8, 8), style_dim=16, mlp_depth=2)).state_dict(), path, {})

    class Library:
        def open(self, name: str, engine: str = "torch") -> OpenedNetwork:
            return open_network(path, engine=engine)

        def sha256(self, name: str) -> str:
            return "00"

    crops = some_crops(2, SIDE)
    answers = {}
    for engine in ("torch", "ncnn", "onnx"):
        selection = Selection(Library(), choose("cpu"), [engine], file)
        with Engine(selection.open, choose("cpu"), reference=selection.reference) as running:
            running.warm_up("tiny")
            answers[engine] = running.restore("tiny", crops)
        assert selection.chosen == {"tiny": engine}
    for answer in answers.values():
        np.testing.assert_allclose(answer, answers["torch"], atol=1e-4)
