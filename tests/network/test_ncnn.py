from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from bridge.errors import DeviceUnavailable, EngineError, ExtraMissing
from bridge.network import checkpoint, plain
from bridge.network import ncnn as door
from bridge.network.architecture import Architecture
from bridge.network.gpen import GPEN
from bridge.network.ncnn import NcnnGraph, require_ncnn, require_vulkan
from tests.network.conftest import MakeNetwork, pictures

GOLDEN = Path(__file__).parents[1] / "golden" / "network-tiny.safetensors"
ncnn = pytest.importorskip("ncnn")


def test_it_answers_the_golden_inputs() -> None:
    golden = load_file(GOLDEN)
    weights = {key.removeprefix("w."): value for key, value in golden.items() if key.startswith("w.")}
    answer = NcnnGraph(checkpoint.assemble(weights))(golden["in"])
    torch.testing.assert_close(answer.double(), golden["out"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("channels", [(12, 8, 10), (1, 3, 5, 7), (16, 16, 64, 32)])
def test_it_answers_as_the_plain_network_whatever_the_widths(
    channels: tuple[int, ...], make_network: MakeNetwork
) -> None:
    network = make_network(Architecture(channels, style_dim=16, mlp_depth=2), 3)
    x = pictures(network.size, batch=2)
    answer = NcnnGraph(network)(x)
    with torch.no_grad():
        exact = plain.restore(network.double(), x.double())
    assert exact.std() > 0.5
    torch.testing.assert_close(answer.double(), exact, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "multiplier", "narrow"), [(256, 1, 0.5), (512, 2, 1)])
def test_networks_of_the_published_sizes_differ_by_less_than_a_thousandth(
    size: int, multiplier: float, narrow: float
) -> None:
    torch.manual_seed(0)
    network = GPEN(Architecture.from_multipliers(size, multiplier, narrow)).eval()
    x = pictures(size, batch=1)
    with torch.no_grad():
        expected = network(x)
        assert expected.std() > 0.1
        torch.testing.assert_close(NcnnGraph(network)(x), expected, atol=1e-3, rtol=0)


def test_a_pass_gives_the_same_bits_each_time_and_keeps_no_input(tiny: GPEN) -> None:
    graph = NcnnGraph(tiny)
    x = pictures(tiny.size, batch=3)
    before = x.clone()
    together = graph(x)
    assert torch.equal(x, before)
    assert torch.equal(graph(x[1:2])[0], together[1])


def test_its_size_and_memory_are_told(tiny: GPEN) -> None:
    graph = NcnnGraph(tiny)
    weights = sum(parameter.nbytes for parameter in tiny.parameters())
    assert graph.size == tiny.size
    assert graph.bytes >= weights


def test_a_failed_pass_has_a_name(tiny: GPEN, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = NcnnGraph(tiny)
    monkeypatch.setattr(graph, "_output", "no such layer")
    with pytest.raises(EngineError):
        graph(pictures(tiny.size, batch=1))


def test_without_the_extra_it_says_what_to_install(tiny: GPEN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ncnn", None)
    for attempt in (require_ncnn, require_vulkan, lambda: NcnnGraph(tiny)):
        with pytest.raises(ExtraMissing, match=r"gpen-enhance\[ncnn\]"):
            attempt()


@pytest.fixture(autouse=True)
def _ask_vulkan_afresh() -> Iterator[None]:
    door.vulkan_fault.cache_clear()
    yield
    door.vulkan_fault.cache_clear()


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ("print(0)", "No GPU"),
        ("print('noise')", "No GPU"),
        ("import os; os.abort()", "ended the process"),
        ("import time; time.sleep(60)", "no answer"),
    ],
)
def test_a_broken_vulkan_driver_ends_the_process_that_asks_not_ours(
    tiny: GPEN, answer: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is asked in a real process, of a driver that behaves like this."""
    run = door.subprocess.run
    monkeypatch.setattr(door.ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(door, "PROBE_SECONDS", 0.5 if "sleep" in answer else 30)

    def asked(command: list[str], **how: object) -> object:
        return run([*command[:2], answer], **how)

    monkeypatch.setattr(door.subprocess, "run", asked)
    with pytest.raises(DeviceUnavailable, match=complaint):
        NcnnGraph(tiny, vulkan=True)


def test_without_a_loader_nobody_is_asked(tiny: GPEN, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(door.sys, "platform", "linux")
    monkeypatch.setattr(door.ctypes, "CDLL", missing)
    monkeypatch.setattr(door, "vulkan_fault", lambda: pytest.fail("asked"))
    with pytest.raises(DeviceUnavailable, match="Vulkan"):
        NcnnGraph(tiny, vulkan=True)


class RecordingNet:
    """Takes any graph, as ncnn with a GPU would."""

    def __init__(self) -> None:
        self.opt = SimpleNamespace()
        self.layers = ""

    def load_param_mem(self, layers: str) -> int:
        self.layers = layers
        return 0

    def load_model(self, path: str) -> int:
        return 0 if Path(path).stat().st_size else -1


def test_with_a_gpu_the_graph_is_run_there_in_float32(tiny: GPEN, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.ctypes, "CDLL", lambda name: None)
    monkeypatch.setattr(door, "vulkan_fault", lambda: None)
    monkeypatch.setattr(ncnn, "Net", RecordingNet)
    net = NcnnGraph(tiny, vulkan=True)._net
    assert net.opt.use_vulkan_compute
    halves = [name for name in vars(net.opt) if "16" in name]
    assert len(halves) == 5
    assert not any(getattr(net.opt, name) for name in halves)
    assert "Deconvolution" in net.layers
