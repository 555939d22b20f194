"""Fifty clients at once against a bridge with a fake engine: `python -m benchmarks.load --minutes 30`.

Tells whether a request was lost, how long health and interactive work take meanwhile, how often the bridge
said 429 and 503, and whether its memory and file handles stay flat. A process of its own asks for health, so
that the clients' load on Python is not counted. Linux: memory and handles are read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median, quantiles
from typing import Any

import numpy as np

from benchmarks.contract import RunningBridge, bridge
from bridge.client import Client
from bridge.errors import BridgeError, Busy, NotReady
from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from bridge.presets import Parameters
from bridge.protocol.enhancement import EnhanceRequest, ParameterChanges
from bridge.protocol.jobs import ItemRequest, JobRequest, JobStatus, Source

PASS_SECONDS = 0.05
ITEMS = 5
SAMPLE_SECONDS = 5.0
PROBE_PAUSE = 0.05
QUIET = ParameterChanges(denoise=0, sharpen=0)


@dataclass
class Told:
    """What became of everything that was asked."""

    outcomes: Counter[str] = field(default_factory=Counter)
    interactive: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


async def interactive(client: Client, photo: bytes, told: Told, random: Random) -> None:
    """One picture on one request; a busy bridge is asked again, as the plug-ins do."""
    began = time.perf_counter()
    request = EnhanceRequest(params=QUIET)
    while True:
        try:
            await client.enhance(photo, request)
            break
        except (Busy, NotReady) as error:
            told.outcomes[error.code] += 1
            await asyncio.sleep(random.uniform(0.2, 0.6))
    told.outcomes["enhanced"] += 1
    told.interactive.append(time.perf_counter() - began)
    await asyncio.sleep(random.uniform(0, 1.0))


async def batch(client: Client, photo: bytes, told: Told, random: Random) -> None:
    """Upload, a job, wait, fetch, acknowledge: every item exactly once, every file with its hash."""
    with tempfile.TemporaryDirectory(prefix="gpen-load-") as folder:
        path = Path(folder) / "photo.png"
        path.write_bytes(photo)
        uploads = [(await client.upload(path)).upload for _ in range(ITEMS)]
        items = tuple(ItemRequest(ref=one, source=Source(upload=one)) for one in uploads)
        job = (await client.submit(JobRequest(params=QUIET, items=items))).job
        while (await client.job(job)).state is not JobStatus.finished:
            await asyncio.sleep(random.uniform(0.3, 0.7))
        found = [item async for item in client.items(job)]
        if sorted(item.ref for item in found) != sorted(uploads):
            told.lost.append(f"job {job}: {len(found)} items")
        for item in found:
            if item.result is None:
                told.lost.append(f"job {job} item {item.item}: {item.error}")
                continue
            await client.save_result(job, item.item, item.result, [Path(folder) / f"{item.item}.png"])
            await client.acknowledge(job, item.item)
            told.outcomes["item done"] += 1


async def looking(client: Client, photo: bytes, told: Told, random: Random) -> None:
    """A console or a panel: states, figures, presets."""
    del photo
    asked: list[Callable[[], Awaitable[Any]]] = [
        client.jobs,
        client.stats,
        client.capabilities,
        client.presets,
    ]
    await random.choice(asked)()
    name = f"load {random.randrange(20)}"
    await client.put_preset(name, Parameters(strength=random.randrange(100)))
    told.outcomes["looked"] += 1
    await asyncio.sleep(random.uniform(0.1, 0.5))


async def rude(client: Client, photo: bytes, told: Told, random: Random) -> None:
    """Broken pictures, and requests that are given up in the middle."""
    if random.random() < 0.5:
        try:
            await client.enhance(photo[: random.randrange(4, len(photo))], EnhanceRequest())
            told.outcomes["broken, and read"] += 1
        except BridgeError as error:
            told.outcomes[error.code] += 1
    else:
        work = asyncio.create_task(client.enhance(photo, EnhanceRequest(params=QUIET)))
        await asyncio.sleep(random.uniform(0, 0.1))
        work.cancel()
        with contextlib.suppress(asyncio.CancelledError, BridgeError):
            await work
        told.outcomes["given up"] += 1
    await asyncio.sleep(random.uniform(0.2, 0.8))


CLIENTS = {interactive: 20, batch: 15, looking: 10, rude: 5}


async def run(running: RunningBridge, seconds: float) -> tuple[Told, list[tuple[float, int]]]:
    """All clients until the time is over; what was told, and memory (MB) and handles in between."""
    told, samples = Told(), []
    pixels = np.random.default_rng(3).integers(0, 255, (80, 96, 3)).astype(np.uint8)
    photo = encode(Image(pixels), Format.PNG).data
    until = time.monotonic() + seconds

    async def live(act: Callable[..., Awaitable[None]], number: int) -> None:
        random = Random(number)  # noqa: S311 - to be repeated
        async with Client(running.url, running.token) as client:
            while time.monotonic() < until:
                try:
                    await act(client, photo, told, random)
                except BridgeError as error:
                    told.lost.append(f"{act.__name__}: {error.code}: {error.detail}")

    async def sample() -> None:
        while time.monotonic() < until:
            await asyncio.sleep(SAMPLE_SECONDS)
            samples.append((resident_mb(running.pid), handles(running.pid)))

    lives = [
        live(act, 100 * kind + number)
        for kind, (act, count) in enumerate(CLIENTS.items())
        for number in range(count)
    ]
    await asyncio.gather(sample(), *lives)
    return told, samples


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    fields = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in fields if line.startswith("VmRSS"))


def handles(pid: int) -> int:
    """Open files and sockets of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def probe(url: str, seconds: float) -> None:
    """Ask for health, again and again; prints the milliseconds of each answer as JSON."""
    until, taken = time.monotonic() + seconds, []
    while time.monotonic() < until:
        began = time.perf_counter()
        with urllib.request.urlopen(f"{url}/v1/health", timeout=30) as reply:  # noqa: S310 - our own bridge
            reply.read()
        taken.append(round((time.perf_counter() - began) * 1000, 2))
        time.sleep(PROBE_PAUSE)
    print(json.dumps(taken))


def spread(values: list[float]) -> dict[str, float]:
    """Median, 99th percentile and the worst."""
    cuts = quantiles(values, n=100)
    return {
        "n": len(values),
        "p50": round(median(values), 3),
        "p99": round(cuts[98], 3),
        "max": round(max(values), 3),
    }


def main() -> None:
    """Run the load and tell the figures; exit status 1 where a request was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.probe:
        probe(asked.probe, asked.minutes * 60)
        return
    with bridge(PASS_SECONDS) as running:
        asking = [
            sys.executable,
            "-m",
            "benchmarks.load",
            "--minutes",
            str(asked.minutes),
            "--probe",
            running.url,
        ]
        prober = subprocess.Popen(asking, stdout=subprocess.PIPE)  # noqa: S603 - this module
        told, samples = asyncio.run(run(running, asked.minutes * 60))
        health = json.loads(prober.communicate(timeout=60)[0])
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    figures = {
        "minutes": asked.minutes,
        "clients": sum(CLIENTS.values()),
        "lost": len(told.lost),
        "health_ms": spread(health),
        "interactive_s": spread(told.interactive),
        "outcomes": dict(told.outcomes.most_common()),
        "memory_mb": {
            "second_quarter": round(median(m for m, _ in early), 1),
            "last": round(median(m for m, _ in late), 1),
        },
        "handles": {"second_quarter": median(h for _, h in early), "last": median(h for _, h in late)},
    }
    print(json.dumps(figures, indent=1))
    for line in told.lost[:20]:
        print(line, file=sys.stderr)
    sys.exit(1 if told.lost else 0)


if __name__ == "__main__":
    main()
