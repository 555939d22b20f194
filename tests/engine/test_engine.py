from __future__ import annotations

import itertools
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bridge.engine.device import Device
from bridge.engine.engine import Engine
from bridge.errors import (
    BridgeError,
    Cancelled,
    CheckpointNotInstalled,
    DeviceOutOfMemory,
    EngineError,
    InvalidRequest,
    SelfTestFailed,
)
from tests.engine.fakes import (
    CPU,
    GPU,
    CountingGpu,
    FakeNetwork,
    Gate,
    halved,
    in_background,
    some_crops,
    wait_until,
)


def test_crops_come_back_restored_and_are_not_touched() -> None:
    crops = some_crops(3)
    crops.setflags(write=False)
    before = crops.copy()
    with Engine(lambda name: FakeNetwork(), CPU) as engine:
        restored = engine.restore("a", crops)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, halved(crops), atol=1e-6)
    np.testing.assert_array_equal(crops, before)


def test_results_are_not_clipped() -> None:
    class Loud(FakeNetwork):
        def __call__(self, crops: torch.Tensor) -> torch.Tensor:
            return crops * 3

    with Engine(lambda name: Loud(), CPU) as engine:
        restored = engine.restore("a", some_crops(1))
    assert restored.min() < 0
    assert restored.max() > 1


def test_no_crops_are_no_work() -> None:
    network = FakeNetwork()
    with Engine(lambda name: network, CPU) as engine:
        assert engine.restore("a", some_crops(0)).shape == (0, 16, 16, 3)
    assert network.passes == []


def test_a_cpu_passes_one_crop_at_a_time_and_a_gpu_up_to_its_limit() -> None:
    for device, passes in ((CPU, [1] * 17), (GPU, [1, 8, 8])):  # the first pass finds out the limit
        network = FakeNetwork()
        with Engine(lambda name, network=network: network, device) as engine:
            restored = engine.restore("a", some_crops(17))
        assert network.passes == passes
        np.testing.assert_allclose(restored, halved(some_crops(17)), atol=1e-6)


@pytest.mark.parametrize(("takes", "passes"), [(2 * 1024**3, [1, 1, 3, 3]), (4000, [1, 1, 6])])
def test_a_pass_is_as_large_as_one_crop_was_measured_to_allow(
    takes: int, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine with an allocator of its own shows nothing: then the estimate counts."""
    monkeypatch.setattr(CountingGpu, "TAKES", takes)
    network = FakeNetwork()
    with Engine(lambda name: network, CountingGpu("cpu", "a test's GPU", 1)) as engine:
        engine.restore("a", some_crops(7))
    assert network.passes == passes


def test_many_threads_get_their_own_results() -> None:
    networks = {name: FakeNetwork() for name in "abc"}

    def work(seed: int) -> None:
        crops = some_crops(1 + seed % 4, seed=seed)
        restored = engine.restore("abc"[seed % 3], crops, urgent=seed % 2 == 0)
        np.testing.assert_allclose(restored, halved(crops), atol=1e-6)

    with Engine(networks.__getitem__, GPU, window=0.001) as engine, ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))
    assert max(max(network.passes) for network in networks.values()) > 1
    assert sum(sum(network.passes) for network in networks.values()) == sum(1 + i % 4 for i in range(200))


def test_threads_that_cancel_at_any_moment_disturb_nobody() -> None:
    def work(seed: int) -> bool:
        crops, cancelled = some_crops(3, seed=seed), threading.Event()
        timer = threading.Timer(0.0004 * (seed % 10), cancelled.set)
        timer.start()
        try:
            restored = engine.restore("a", crops, cancelled=cancelled if seed % 2 else None)
        except Cancelled:
            return False
        finally:
            timer.join()
        np.testing.assert_allclose(restored, halved(crops), atol=1e-6)
        return True

    network = FakeNetwork(on_pass=lambda crops: time.sleep(0.0005))
    with Engine(lambda name: network, CPU) as engine, ThreadPoolExecutor(8) as pool:
        finished = list(pool.map(work, range(80)))
        assert len(engine._batcher) == 0
    assert all(finished[0::2])
    assert not all(finished)


def test_urgent_work_goes_first() -> None:
    gate = Gate()
    order: list[float] = []

    def on_pass(crops: torch.Tensor) -> None:
        order.append(round(float(crops.max()), 1))
        gate(crops)

    network = FakeNetwork(on_pass=on_pass)
    with Engine(lambda name: network, CPU) as engine:
        running = in_background(lambda: engine.restore("a", np.full((1, 16, 16, 3), 0.5, np.float32)))
        gate.wait_for_a_pass()
        patient = in_background(
            lambda: engine.restore("a", np.full((1, 16, 16, 3), 0.6, np.float32), urgent=False)
        )
        wait_until(lambda: len(engine._batcher) == 1)
        urgent = in_background(lambda: engine.restore("a", np.full((1, 16, 16, 3), 0.7, np.float32)))
        wait_until(lambda: len(engine._batcher) == 2)
        gate.opened.set()
        for outcome in (running, patient, urgent):
            outcome.result(10)
    assert order == [0.0, 0.4, 0.2]  # signed: 0.5, 0.7, 0.6


def test_a_cancelled_request_leaves_the_line_at_once() -> None:
    gate, cancelled = Gate(), threading.Event()
    network = FakeNetwork(on_pass=gate)
    with Engine(lambda name: network, CPU) as engine:
        running = in_background(lambda: engine.restore("a", some_crops(1)))
        gate.wait_for_a_pass()
        queued = in_background(lambda: engine.restore("a", some_crops(5), cancelled=cancelled))
        wait_until(lambda: len(engine._batcher) == 1)
        cancelled.set()
        with pytest.raises(Cancelled):
            queued.result(1)  # while the other pass still runs
        assert len(engine._batcher) == 0
        gate.opened.set()
        running.result(10)
    assert network.passes == [1]


def test_cancelling_between_passes_skips_the_rest() -> None:
    gate, cancelled = Gate(), threading.Event()
    network = FakeNetwork(on_pass=gate)
    with Engine(lambda name: network, CPU) as engine:
        outcome = in_background(lambda: engine.restore("a", some_crops(9), cancelled=cancelled))
        gate.wait_for_a_pass()
        cancelled.set()
        with pytest.raises(Cancelled):
            outcome.result(1)
        gate.opened.set()
    assert network.passes == [1]


def test_a_request_that_is_cancelled_beforehand_computes_nothing() -> None:
    network, cancelled = FakeNetwork(), threading.Event()
    cancelled.set()
    with Engine(lambda name: network, CPU) as engine, pytest.raises(Cancelled):
        engine.restore("a", some_crops(1), cancelled=cancelled)
    assert network.passes == []


def test_out_of_memory_halves_the_pass_until_it_fits() -> None:
    def little_room(crops: torch.Tensor) -> None:
        if len(crops) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    network = FakeNetwork(on_pass=little_room)
    with Engine(lambda name: network, GPU) as engine:
        restored = engine.restore("a", some_crops(9))
    np.testing.assert_allclose(restored, halved(some_crops(9)), atol=1e-6)
    assert network.passes == [1, 8, 4, 2, 2, 2, 2]


def test_out_of_memory_makes_room_by_dropping_other_networks() -> None:
    full = [True]

    def on_pass(crops: torch.Tensor) -> None:
        if full.pop() if full else False:
            raise RuntimeError("MPS backend out of memory")

    networks = {"a": FakeNetwork(), "b": FakeNetwork(on_pass=on_pass)}
    with Engine(networks.__getitem__, GPU) as engine:
        engine.restore("a", some_crops(1))
        engine.restore("b", some_crops(1))
        assert engine.resident() == ["b"]


def test_a_crop_that_does_not_fit_alone_is_out_of_memory_and_the_engine_lives_on() -> None:
    def no_room(crops: torch.Tensor) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    networks = {"large": FakeNetwork(on_pass=no_room), "small": FakeNetwork()}
    with Engine(networks.__getitem__, GPU) as engine:
        with pytest.raises(DeviceOutOfMemory, match="a test's GPU"):
            engine.restore("large", some_crops(4))
        assert engine.restore("small", some_crops(1)).shape == (1, 16, 16, 3)


def test_after_a_lost_device_networks_are_loaded_afresh() -> None:
    opened: list[str] = []

    def lost(crops: torch.Tensor) -> None:
        if len(opened) == 1:
            raise RuntimeError("CUDA error: unspecified launch failure\nCompile with ...")

    def open_network(name: str) -> FakeNetwork:
        opened.append(name)
        return FakeNetwork(on_pass=lost)

    with Engine(open_network, GPU) as engine:
        with pytest.raises(EngineError, match="unspecified launch failure") as caught:
            engine.restore("a", some_crops(1))
        assert caught.value.code == "engine_failed"
        assert engine.resident() == []
        engine.restore("a", some_crops(1))
    assert opened == ["a", "a"]


def test_the_engine_survives_a_device_that_cannot_even_give_memory_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("CUDA error: device lost")

    monkeypatch.setattr(type(GPU), "give_back_memory", fails)
    with Engine(lambda name: FakeNetwork(on_pass=fails), GPU) as engine:
        for _ in range(2):
            with pytest.raises(EngineError, match="device lost"):
                engine.restore("a", some_crops(1))


def test_a_checkpoint_error_reaches_the_caller() -> None:
    def refuse(name: str) -> FakeNetwork:
        raise CheckpointNotInstalled(f"{name} is not installed.")

    with Engine(refuse, CPU) as engine, pytest.raises(CheckpointNotInstalled, match="a is not installed"):
        engine.restore("a", some_crops(1))


def test_one_bad_face_fails_alone() -> None:
    class Fragile(FakeNetwork):
        def __call__(self, crops: torch.Tensor) -> torch.Tensor:
            dark = crops.flatten(1).amax(1) < -0.9
            return torch.where(dark[:, None, None, None], torch.nan, super().__call__(crops))

    gate = Gate()
    network = Fragile(on_pass=gate)
    with Engine(lambda name: network, GPU, window=0.0) as engine:
        first = in_background(lambda: engine.restore("a", some_crops(1)))
        gate.wait_for_a_pass()
        bad = in_background(lambda: engine.restore("a", np.zeros((1, 16, 16, 3), np.float32)))
        good = in_background(lambda: engine.restore("a", some_crops(2)))
        wait_until(lambda: len(engine._batcher) == 2)
        gate.opened.set()
        first.result(10)
        assert good.result(10).shape == (2, 16, 16, 3)  # type: ignore[attr-defined]  # a Crops
        with pytest.raises(EngineError, match="not numbers"):
            bad.result(10)
    assert network.passes == [1, 3]


@pytest.mark.parametrize(
    ("crops", "complaint"),
    [
        (np.zeros((16, 16, 3), np.float32), "N x S x S x 3"),
        (np.zeros((1, 16, 8, 3), np.float32), "N x S x S x 3"),
        (np.zeros((1, 3, 16, 16), np.float32), "N x S x S x 3"),
        (np.zeros((1, 16, 16, 3), np.float64), "float32"),
        (np.full((1, 16, 16, 3), np.nan, np.float32), "not numbers"),
        (np.zeros((1, 32, 32, 3), np.float32), "16 pixels, not 32"),
    ],
)
def test_crops_of_another_kind_are_refused(crops: np.ndarray, complaint: str) -> None:
    with Engine(lambda name: FakeNetwork(), CPU) as engine, pytest.raises(InvalidRequest, match=complaint):
        engine.restore("a", crops)


def test_the_least_recently_used_network_makes_room() -> None:
    networks = {name: FakeNetwork(weights=40) for name in "abc"}
    with Engine(networks.__getitem__, CPU, resident_bytes=100) as engine:
        for name in "abac":
            engine.restore(name, some_crops(1))
        assert engine.resident() == ["a", "c"]


def test_a_network_larger_than_the_bound_is_admitted_alone() -> None:
    networks = {"a": FakeNetwork(weights=40), "huge": FakeNetwork(weights=400)}
    with Engine(networks.__getitem__, CPU, resident_bytes=100) as engine:
        engine.restore("a", some_crops(1))
        engine.restore("huge", some_crops(1))
        assert engine.resident() == ["huge"]


def test_a_network_that_does_not_fit_beside_others_takes_their_place() -> None:
    class Large(FakeNetwork):
        def to(self, device: str) -> None:
            super().to(device)
            if engine.resident():
                raise torch.OutOfMemoryError("CUDA out of memory")

    networks = {"a": FakeNetwork(), "large": Large()}
    with Engine(networks.__getitem__, GPU) as engine:
        engine.restore("a", some_crops(1))
        engine.restore("large", some_crops(1))
        assert engine.resident() == ["large"]


def test_closing_finishes_what_is_queued() -> None:
    gate = Gate()
    engine = Engine(lambda name: FakeNetwork(on_pass=gate), CPU)
    queued = [in_background(lambda: engine.restore("a", some_crops(3))) for _ in range(4)]
    gate.wait_for_a_pass()
    wait_until(lambda: len(engine._batcher) == 4)
    closing = in_background(engine.close)
    wait_until(lambda: engine._closing)
    with pytest.raises(EngineError, match="closing"):
        engine.restore("a", some_crops(1))
    with pytest.raises(EngineError, match="closing"):
        engine.warm_up("a")
    gate.opened.set()
    for outcome in queued:
        outcome.result(10)
    closing.result(10)
    assert engine.resident() == []
    engine.close()


def test_closing_without_draining_fails_what_is_queued() -> None:
    gate = Gate()
    engine = Engine(lambda name: FakeNetwork(on_pass=gate), CPU)
    running = in_background(lambda: engine.restore("a", some_crops(1)))
    gate.wait_for_a_pass()
    queued = in_background(lambda: engine.restore("a", some_crops(1)))
    warming = in_background(lambda: engine.warm_up("a"))
    wait_until(lambda: len(engine._batcher) == 1 and len(engine._chores) == 1)
    closing = in_background(lambda: engine.close(drain=False))
    for outcome in (queued, warming):
        with pytest.raises(EngineError, match="closing"):
            outcome.result(10)
    gate.opened.set()
    running.result(10)
    closing.result(10)


def test_an_interrupted_caller_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    with Engine(lambda name: FakeNetwork(on_pass=gate), CPU) as engine:
        running = in_background(lambda: engine.restore("a", some_crops(1)))
        gate.wait_for_a_pass()

        wait = threading.Event.wait

        def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
            if threading.current_thread() is threading.main_thread():
                raise KeyboardInterrupt
            return wait(event, timeout)

        with monkeypatch.context() as patch:
            patch.setattr(threading.Event, "wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                engine.restore("a", some_crops(1))
        assert len(engine._batcher) == 0
        gate.opened.set()
        running.result(10)


def test_warming_up_loads_and_tests_the_network() -> None:
    network = FakeNetwork()
    with Engine(lambda name: network, CPU) as engine:
        engine.warm_up("a")
        assert engine.resident() == ["a"]
    assert network.passes == [1, 1]


def test_a_network_that_fails_its_self_test_is_not_kept() -> None:
    class Empty(FakeNetwork):
        def __call__(self, crops: torch.Tensor) -> torch.Tensor:
            return crops * torch.nan

    with Engine(lambda name: Empty(), CPU) as engine:
        with pytest.raises(SelfTestFailed, match="not numbers"):
            engine.warm_up("a")
        assert engine.resident() == []


def test_elsewhere_than_on_a_cpu_the_self_test_compares_with_the_cpu() -> None:
    class Collapsed(FakeNetwork):
        def __call__(self, crops: torch.Tensor) -> torch.Tensor:
            return crops.mean().expand_as(crops)

    networks: list[FakeNetwork] = [Collapsed(), FakeNetwork()]
    with (
        Engine(lambda name: networks.pop(0), GPU) as engine,
        pytest.raises(SelfTestFailed, match="differs from the CPU"),
    ):
        engine.warm_up("a")


def test_every_failure_of_a_network_has_a_name() -> None:
    def on_pass(crops: torch.Tensor) -> None:
        raise ZeroDivisionError

    with Engine(lambda name: FakeNetwork(on_pass=on_pass), CPU) as engine:
        for call in (lambda: engine.restore("a", some_crops(1)), lambda: engine.warm_up("a")):
            with pytest.raises(BridgeError, match="ZeroDivisionError"):
                call()


def test_memory_goes_back_after_loading_when_idle_and_before_the_pass_that_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []
    idle = threading.Event()

    def give_back(device: Device) -> None:
        happened.append("given back")
        if "pass" in happened:
            idle.set()

    monkeypatch.setattr("bridge.engine.engine.IDLE", 0.01)
    monkeypatch.setattr(type(GPU), "give_back_memory", give_back)
    network = FakeNetwork(on_pass=lambda _: happened.append("pass"))
    with Engine(lambda name: network, GPU) as engine:
        engine.restore("a", some_crops(1))
        assert happened[happened.index("pass") - 1] == "given back"
        assert idle.wait(10)
        happened.clear()
        engine.restore("a", some_crops(1))
        assert happened[:2] == ["given back", "pass"]


def test_after_long_idleness_the_networks_go_and_come_back_on_demand() -> None:
    opened: list[weakref.ref[FakeNetwork]] = []

    def open_network(name: str) -> FakeNetwork:
        network = FakeNetwork()
        opened.append(weakref.ref(network))
        return network

    hours = itertools.count(step=3600)  # a clock on which each look takes an hour
    with Engine(open_network, GPU, window=0.0, unload_after=600, clock=lambda: next(hours)) as engine:
        for times in (1, 2):
            np.testing.assert_allclose(engine.restore("a", some_crops(3)), halved(some_crops(3)), atol=1e-6)
            wait_until(lambda: engine.resident() == [])
            assert len(opened) == times
            assert opened[-1]() is None  # nothing keeps its memory
        engine.warm_up("a")
        wait_until(lambda: engine.resident() == [])


def test_without_a_limit_networks_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    days = itertools.count(step=86_400)
    monkeypatch.setattr(type(GPU), "give_back_memory", lambda device: happened.append("given back"))
    network = FakeNetwork(on_pass=lambda _: happened.append("pass"))
    with Engine(lambda name: network, GPU, window=0.0, clock=lambda: next(days)) as engine:
        engine.restore("a", some_crops(1))
        wait_until(lambda: happened[-1] == "given back")
        assert engine.resident() == ["a"]


def test_the_pixels_of_the_last_request_are_not_kept() -> None:
    crops = some_crops(1)
    kept = weakref.ref(crops)
    with Engine(lambda name: FakeNetwork(), CPU) as engine:
        engine.restore("a", crops)
        del crops
        wait_until(lambda: kept() is None)
