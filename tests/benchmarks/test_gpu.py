from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from benchmarks import gpu as script
from bridge.engine.device import Device
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN
from tests.engine.fakes import CPU


class FakeGpu:
    """Computes on the CPU; its memory holds passes of up to four crops."""

    device: Device = CPU

    def __init__(self) -> None:
        self.tf32: list[bool] = []
        self.waits = 0

    def use_tf32(self, wanted: bool) -> None:
        self.tf32.append(wanted)

    def wait(self) -> None:
        self.waits += 1

    def forget_peak(self) -> None:
        pass

    def peak(self) -> int:
        return 1000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    network = GPEN(Architecture((4,) * 3, style_dim=16, mlp_depth=2))
    path = tmp_path / "small.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(script, "WARM_UPS", 0)
    monkeypatch.setattr(script, "PASSES", 1)
    monkeypatch.setattr(script, "BATCHES", (1, 8))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def cuda_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_every_variant_is_judged_and_timed(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = script.Runner.run

    def run(runner: script.Runner, crops: script.Crops) -> script.Crops:
        if len(crops) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(runner, crops)

    monkeypatch.setattr(script.Runner, "run", run)
    device = FakeGpu()
    written = tmp_path / "gpu.json"
    assert script.main(["-o", str(written), "--checkpoint", str(file)], device) == 0
    told = json.loads(written.read_text())
    assert told["gpu"] == CPU.title
    variants = {(v["precision"], v["graphs"]): v for v in told["variants"]}
    assert set(variants) == {(p, g) for p in ("fp32", "tf32", "fp16", "bf16") for g in (False, True)}
    assert variants["fp32", False]["problem"] is None
    assert variants["fp32", False]["difference"] < 1e-5
    for variant in told["variants"]:
        if variant["passes"]:
            assert [one["crops"] for one in variant["passes"]] == [1, 8]
            assert variant["passes"][0]["seconds"] > 0
            assert variant["passes"][1]["seconds"] is None
    assert device.tf32.count(True) == 2
    assert device.waits > 0
    assert str(tmp_path) not in written.read_text()
    assert "| small | fp32 | no | 1.00 |" in capsys.readouterr().out


def test_a_precision_that_comes_out_wrong_is_a_finding(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As float16 on real devices: no error, only wrong numbers."""
    monkeypatch.setattr(script, "DTYPES", {"fp32": torch.float32, "fp16": torch.float16})
    real = script.InPrecision.__call__

    def flat(network: script.InPrecision, x: torch.Tensor) -> torch.Tensor:
        answer = real(network, x)
        return answer * 0 if network._dtype is torch.float16 else answer

    monkeypatch.setattr(script.InPrecision, "__call__", flat)
    written = tmp_path / "gpu.json"
    script.main(["-o", str(written), "--checkpoint", str(file)], FakeGpu())
    verdicts = {v["precision"]: v["problem"] for v in json.loads(written.read_text())["variants"]}
    assert verdicts["fp32"] is None
    assert "differs from the CPU's torch" in verdicts["fp16"]


@pytest.mark.usefixtures("cuda_is_missing")
def test_without_a_gpu_it_says_so_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "gpu.json"
    assert script.main(["-o", str(written)]) == 1
    assert "no CUDA GPU" in capsys.readouterr().err
    assert not written.exists()
