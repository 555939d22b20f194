"""Which device the network runs on, what it is called, and how much memory it has.

Owns every question to torch about hardware; knows no networks and no queues. float32 everywhere:
half precision turns faces of this family into flat colour (facts: NVIDIA/TensorRT#3257).
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from bridge.engine import allocator
from bridge.errors import DeviceUnavailable

BYTES_PER_PIXEL = 3 * 1024
"""Memory of one pass per pixel of a crop: at full size a few feature maps of 64 to 128 float32
channels live at once (measured 2.8 kB for the 512 network in its plain form on a CPU). For devices on
which it cannot be measured."""
MOST_CROPS = 16
"""Beyond this a larger pass is no faster for each crop, only later for whoever waits for it."""

COMMON_POOL = (0, 0)
"""Of torch's allocator on CUDA: whatever is not part of a recorded pass."""

_OUT_OF_MEMORY_WORDS = ("out of memory", "can't allocate memory", "not enough memory")


@dataclass(frozen=True)
class Memory:
    """Bytes of the device's memory; None where the system does not tell."""

    total: int | None
    free: int | None


@dataclass(frozen=True)
class Device:
    """A device that was found to exist.

    Attributes:
        name: as torch names it: cpu, mps, cuda:0.
        title: as its maker names it.
        threads: CPU threads of one pass; meaningless elsewhere.
    """

    name: str
    title: str
    threads: int

    @property
    def is_cpu(self) -> bool:
        """Whether passes run on the processor: then one crop a pass, and no waiting for company."""
        return self.name == "cpu"

    @property
    def driver(self) -> str:
        """What else the numbers of a pass depend on, as its maker counts it; empty on a CPU."""
        if self.name.startswith("cuda"):
            capability = torch.cuda.get_device_capability(self.name)
            return f"CUDA {torch.version.cuda}, cuDNN {_cudnn_version()}, {capability}"
        return platform.mac_ver()[0] if self.name == "mps" else ""

    @property
    def memory(self) -> Memory:
        """As it is now."""
        if self.name.startswith("cuda"):
            free, total = torch.cuda.mem_get_info(self.name)
            return Memory(total, free + _idle(self.name))
        if self.name == "mps":
            total = torch.mps.recommended_max_memory()
            return Memory(total, total - torch.mps.driver_allocated_memory())
        return _main_memory()

    @property
    def counts_memory(self) -> bool:
        """Whether torch tells here how much memory some work took."""
        return self.name.startswith("cuda")

    def most_held(self, work: Callable[[], object]) -> int:
        """Run some work where `counts_memory`; the most bytes that tensors took beyond those before."""
        torch.cuda.reset_peak_memory_stats(self.name)
        before = torch.cuda.memory_allocated(self.name)
        work()
        return torch.cuda.max_memory_allocated(self.name) - before

    def batch_limit(self, side: int, crop_bytes: int | None = None) -> int:
        """How many crops one pass may hold.

        One on a CPU: more is no faster there (immich-app/immich#4590), and a pass of one is what
        makes a result independent of its company.

        Args:
            side: of the crops, in pixels.
            crop_bytes: what one takes in a pass, as measured; None: estimated from the side.
        """
        if self.is_cpu:
            return 1
        free = self.memory.free
        if free is None:
            return 1
        return max(1, min(MOST_CROPS, free // 2 // (crop_bytes or side * side * BYTES_PER_PIXEL)))

    def settle_in(self) -> None:
        """Set up the calling thread, and the process, for passes on this device."""
        if self.is_cpu:
            allocator.keep_large_buffers()
            torch.set_num_threads(self.threads)
        elif self.name.startswith("cuda"):
            torch.set_float32_matmul_precision("high")  # TF32, as cuDNN's convolutions have it already

    def give_back_memory(self) -> None:
        """Return memory that no tensor uses to the system, for whoever shares the machine with us."""
        if self.name.startswith("cuda"):
            torch.cuda.empty_cache()
        elif self.name == "mps":
            torch.mps.empty_cache()
        allocator.give_back()  # of photos, too


def choose(name: str = "auto", threads: int = 0) -> Device:
    """The device that the settings name.

    Args:
        name: auto (CUDA, then mps, then the CPU), cpu, mps, cuda or cuda:N.
        threads: CPU threads of a pass; 0 is torch's own choice, one for each core.

    Raises:
        DeviceUnavailable: it does not exist here, or this torch cannot drive it.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    threads = threads or torch.get_num_threads()  # torch counts real cores, not their twins
    if name == "cpu":
        return Device("cpu", _processor(), threads)
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise DeviceUnavailable("There is no Metal device here, or this torch was built without mps.")
        return Device("mps", _processor(), threads)
    kind, _, number = name.partition(":")
    if kind != "cuda" or not (number.isdecimal() or not number):
        raise DeviceUnavailable(f"`{name}` names no device: auto, cpu, mps, cuda and cuda:N do.")
    if not torch.cuda.is_available():
        raise DeviceUnavailable("There is no CUDA device here, or this torch was built without CUDA.")
    index, count = int(number or 0), torch.cuda.device_count()
    if index >= count:
        raise DeviceUnavailable(f"`{name}` does not exist: the last CUDA device is cuda:{count - 1}.")
    return Device(f"cuda:{index}", torch.cuda.get_device_name(index), threads)


def gpu_count() -> int:
    """How many CUDA devices this computer has."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a pass failed for want of memory; only CUDA has a class of its own for it."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _OUT_OF_MEMORY_WORDS)


def _idle(name: str) -> int:
    """Bytes that torch's allocator keeps on a CUDA device without using them: they are free to us.

    But not those of recorded passes (CUDA graphs): their pools are their own as long as they exist.
    """
    index = torch.device(name).index or 0
    segments = torch.cuda.memory_snapshot()  # type: ignore[no-untyped-call]  # torch has no types for it
    return sum(
        int(segment["total_size"] - segment["allocated_size"])
        for segment in segments
        if segment["device"] == index and tuple(segment["segment_pool_id"]) == COMMON_POOL
    )


def _cudnn_version() -> object:
    return torch.backends.cudnn.version()  # type: ignore[no-untyped-call]  # torch has no types for it


def _processor() -> str:
    """The processor's name, in words where the system has them."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _main_memory() -> Memory:
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = (line.partition(":") for line in meminfo.read_text(encoding="ascii").splitlines())
        bytes_of = {name: int(rest.split()[0]) * 1024 for name, _, rest in lines}
        return Memory(bytes_of.get("MemTotal"), bytes_of.get("MemAvailable"))
    if sys.platform == "win32":
        installed = ctypes.c_ulonglong()  # in kilobytes
        found = ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(installed))
        return Memory(installed.value * 1024 if found else None, None)
    return Memory(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None)
