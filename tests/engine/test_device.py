from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch

from bridge.engine.device import Device, Memory, choose, is_out_of_memory
from bridge.errors import DeviceUnavailable

GIB = 1024**3
ROOT = Path(__file__).parents[2]


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two CUDA devices of 8 GiB: 2 free, and 1 of what torch reserves for anything on the first is unused."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU number {index}")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda name: (2 * GIB, 8 * GIB))
    monkeypatch.setattr(
        torch.cuda,
        "memory_snapshot",
        lambda: [
            {"device": index, "segment_pool_id": pool, "total_size": 2 * GIB, "allocated_size": used * GIB}
            for index, pool, used in ((0, (0, 0), 1), (0, (0, 0), 2), (0, (0, 1), 0), (1, (0, 0), 2))
        ],
    )


@pytest.fixture
def a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12 * GIB)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 4 * GIB)


@pytest.fixture
def only_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("two_gpus")
def test_auto_prefers_cuda() -> None:
    chosen = choose("auto")
    assert (chosen.name, chosen.title, chosen.is_cpu) == ("cuda:0", "GPU number 0", False)
    assert chosen.memory == Memory(total=8 * GIB, free=3 * GIB)
    assert choose("cuda:1").title == "GPU number 1"
    assert choose("cuda:1").memory == Memory(total=8 * GIB, free=2 * GIB)


@pytest.mark.usefixtures("two_gpus")
def test_the_driver_is_part_of_what_numbers_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda name: (9, 0))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 91000)
    assert choose("cuda:1").driver == "CUDA 13.0, cuDNN 91000, (9, 0)"
    assert choose("cpu").driver == ""


@pytest.mark.usefixtures("a_mac")
def test_auto_takes_mps_on_a_mac() -> None:
    chosen = choose("auto")
    assert (chosen.name, chosen.is_cpu) == ("mps", False)
    assert chosen.memory == Memory(total=12 * GIB, free=8 * GIB)


@pytest.mark.usefixtures("only_a_cpu")
def test_auto_falls_back_on_the_cpu() -> None:
    chosen = choose("auto")
    assert (chosen.name, chosen.is_cpu) == ("cpu", True)
    assert chosen.title
    assert chosen.threads >= 1
    assert choose("cpu", threads=3).threads == 3


@pytest.mark.usefixtures("only_a_cpu")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "tpu", "cuda:", "cuda:x", "xcuda"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(DeviceUnavailable):
        choose(name)


@pytest.mark.usefixtures("two_gpus")
def test_a_cuda_device_beyond_the_last_is_refused() -> None:
    with pytest.raises(DeviceUnavailable, match="the last CUDA device is cuda:1"):
        choose("cuda:2")


def test_the_cpu_tells_its_memory() -> None:
    memory = choose("cpu").memory
    assert memory.total is None or memory.total > 100 * 1024**2
    assert memory.free is None or memory.free > 0


@pytest.mark.parametrize(("free", "limits"), [(3, (16, 2, 1)), (0.5, (5, 1, 1)), (None, (1, 1, 1))])
def test_the_size_of_a_pass_follows_the_free_memory(
    free: float | None, limits: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = Memory(8 * GIB, None if free is None else int(free * GIB))
    monkeypatch.setattr(Device, "memory", memory)
    gpu = Device("cuda:0", "a GPU", 1)
    assert tuple(gpu.batch_limit(side) for side in (128, 512, 2048)) == limits
    assert Device("cpu", "a processor", 1).batch_limit(128) == 1


def test_what_a_crop_takes_is_measured_where_torch_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"now": 5 * GIB, "most": 7 * GIB}
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda name: held["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda name: held["most"])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda name: held.update(most=held["now"]))
    gpu = Device("cuda:0", "a GPU", 1)
    assert gpu.counts_memory
    assert not Device("mps", "a Mac", 1).counts_memory
    taken = gpu.most_held(lambda: held.update(most=6 * GIB))
    assert taken == GIB
    monkeypatch.setattr(Device, "memory", Memory(16 * GIB, 8 * GIB))
    assert gpu.batch_limit(512, taken) == 4
    assert gpu.batch_limit(512) == 5


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("CUDA error: unspecified launch failure"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognised_on_every_device(error: Exception, verdict: bool) -> None:
    assert is_out_of_memory(error) is verdict


def test_settling_in_sets_the_threads_of_a_cpu() -> None:
    before = torch.get_num_threads()
    seen: list[int] = []

    def settle() -> None:
        Device("cpu", "a processor", 1).settle_in()
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=settle)
    thread.start()
    thread.join()
    torch.set_num_threads(before)
    assert seen == [1]


def test_settling_in_allows_tf32_on_cuda() -> None:
    before = torch.get_float32_matmul_precision()
    Device("cuda:0", "a GPU", 1).settle_in()
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(("name", "module"), [("cuda:0", torch.cuda), ("mps", torch.mps)])
def test_memory_is_given_back_by_the_device_in_use(
    name: str, module: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied: list[str] = []
    monkeypatch.setattr(module, "empty_cache", lambda: emptied.append(name))
    Device(name, "a GPU", 1).give_back_memory()
    assert emptied == [name]
