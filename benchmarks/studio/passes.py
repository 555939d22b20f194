"""The pool alone, over a real cluster: equal results, no spilling, and how two workers add up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studio.house import address
from bridge import certificates
from bridge.checkpoints import Checkpoints
from bridge.config import bundled
from bridge.engine.pool import Pool
from bridge.engine.ray import Driver as DriverProcess
from bridge.engine.ray import Plan, RayCluster, launch
from bridge.engine.ray_node import Node, Ports, Slots, head_command, make_token, worker_command
from bridge.engine.workers import Equipment, Published
from bridge.errors import Cancelled

NETWORK = "gpen-lite-256"
STORE = 80_000_000
"""The least that Ray takes."""
SPILL_PATIENCE = 180.0
"""Seconds until 400 faces are given up: calls without a bound can wait for each other's memory for ever."""


def crops(count: int, side: int = 256) -> Any:
    """Noise: N x side x side x 3."""
    return np.random.default_rng(7).random((count, side, side, 3), dtype=np.float32)


@contextlib.asynccontextmanager
async def pool(
    folder: Path, workers: int, *, in_flight: int = 3, sleep: float | None = None
) -> AsyncIterator[Pool]:
    """A pool over a fresh cluster of one-worker nodes; with `sleep`, their network only waits so long."""
    if sleep is not None:  # nodes inherit it, and with it their workers
        modules = os.pathsep.join(filter(None, (str(Path.cwd()), os.environ.get("PYTHONPATH"))))
        os.environ |= {"GPEN_SLEEP": str(sleep), "PYTHONPATH": modules}
    here, token = address(), folder / "ray.token"
    make_token(token)
    identity = certificates.for_cluster(folder / "cluster", token.read_text(), here)
    library = Checkpoints(bundled("weights"), folder / "weights")
    entry, path, stamp = library.stored(NETWORK)
    published = Published(NETWORK, path, stamp.sha256, stamp.bytes, entry.input, entry.output)
    head = head_command(here, Ports(), folder / "r", STORE)
    nodes = [Node(head, token, None, folder / "head.log", identify=lambda: identity)]
    for number in range(workers):
        ports = Ports(first=17880 + 10 * number, workers=18000 + 100 * number)
        command = worker_command(f"{here}:17870", here, ports, Slots(cpus=1), STORE)
        equipment = Equipment(folder / f"n{number}", "cpu", "torch", 1)
        nodes.append(Node(command, token, equipment, folder / f"n{number}.log", identify=lambda: identity))
    for number, node in enumerate(nodes):
        node.start()
        await _settled(folder, number)
    plan = Plan(f"{here}:17870", token, in_flight, published, identity=identity)
    start = launch if sleep is None else sleepers
    made = Pool(RayCluster(plan, lambda _: published, start), in_flight=in_flight, patience=300)
    try:
        deadline = time.monotonic() + 180
        while sum(state.healthy for state in made.workers) < workers:
            assert time.monotonic() < deadline, (made.workers, made.problem)
            await asyncio.sleep(0.2)
        yield made
    finally:
        made.close(drain=False)
        for node in reversed(nodes):
            node.close()


async def _settled(folder: Path, number: int) -> None:
    """Wait until Ray said that it has started: two starts at once on one machine get in each other's way."""
    log = folder / ("head.log" if number == 0 else f"n{number - 1}.log")
    deadline = time.monotonic() + 150
    while not log.exists() or "Ray runtime started" not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
        await asyncio.sleep(0.2)


def sleepers(plan: Plan) -> DriverProcess:
    """A driver whose workers have a network of fixed time."""
    return launch(plan, "from benchmarks.studio.sleeper import main; main()")


async def equal(folder: Path, _items: int, _cut: float) -> dict[str, Any]:
    """The same crops here and there, bit for bit."""
    from bridge.engine.device import choose
    from bridge.engine.engine import Engine

    asked = crops(8)
    library = Checkpoints(bundled("weights"), folder / "weights")
    with Engine(library.open, choose("cpu", 1)) as engine:
        local = engine.restore(NETWORK, asked)
    async with pool(folder, 2) as there:
        far = await asyncio.to_thread(there.restore, NETWORK, asked)
        hosts = sorted({state.worker for state in there.workers})
    copies = [path.name for path in sorted(folder.glob("n*/*.safetensors"))]
    return {
        "must_be_zero": {"crops_that_differ": int((local != far).any(axis=(1, 2, 3)).sum())},
        "workers": len(hosts),
        "checkpoint_copies": len(copies),
    }


async def spill(folder: Path, _items: int, _cut: float) -> dict[str, Any]:
    """80 MB of object store, and 400 faces of 512 pixels that wait: bounded calls, then unbounded ones."""
    told: dict[str, Any] = {}
    for name, in_flight in (("bounded", 3), ("unbounded", 16)):
        own = folder / name
        own.mkdir()
        async with pool(own, 2, in_flight=in_flight if name == "bounded" else 100, sleep=0.02) as there:
            began, tired = time.monotonic(), threading.Event()
            timer = threading.Timer(SPILL_PATIENCE, tired.set)
            timer.start()
            with contextlib.suppress(Cancelled):
                await asyncio.to_thread(there.restore, NETWORK, crops(400, 512), cancelled=tired)
            timer.cancel()
            seconds = time.monotonic() - began
        logs = [log.read_text(errors="replace") for log in own.rglob("raylet*.out")]
        spills = sum(text.count("Spilled ") for text in logs)
        told[name] = {
            "in_flight": in_flight if name == "bounded" else 100,
            "spills": spills,
            "crops_a_second": None if tired.is_set() else 400 / seconds,
        }
    return {"must_be_zero": {"spills": told["bounded"]["spills"]}, **told}


async def scaling(folder: Path, _items: int, _cut: float) -> dict[str, Any]:
    """A network that takes 0.2 s: 60 crops by one worker, then by two."""
    rates = {}
    for workers in (1, 2):
        own = folder / str(workers)
        own.mkdir()
        async with pool(own, workers, sleep=0.2) as there:
            await asyncio.to_thread(there.restore, NETWORK, crops(6))
            began = time.monotonic()
            await asyncio.to_thread(there.restore, NETWORK, crops(60))
            rates[workers] = 60 / (time.monotonic() - began)
    efficiency = rates[2] / (2 * rates[1])
    return {"crops_a_second": rates, "efficiency": efficiency, "holds": efficiency >= 0.95}
