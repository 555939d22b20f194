"""What a batch costs beside its pictures: `python -m benchmarks.batch items` and `... overlap`.

`items`: ten thousand small photos through a fake network; how the memory of the bridge grows, and how
long `GET /v1/jobs/{job}` and a page of items take meanwhile and at the end.
`overlap`: 24-megapixel JPEGs with a real detector and a fake network of a fixed time per pass; how
busy the network is, and what a fast network adds to the CPU stages alone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from aiohttp import web

from bridge.checkpoints import Checkpoints, Entry
from bridge.client import Client
from bridge.config import Places, Settings, bundled
from bridge.faces.detect import Detector
from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import FloatPixels, Image
from bridge.pipeline import Tools
from bridge.protocol.enhancement import ParameterChanges
from bridge.protocol.jobs import ItemRequest, ItemsRequest, JobRequest, JobStatus, Source
from bridge.server import app as application
from bridge.server.parts import READINESS, Parts
from bridge.server.serve import serve

QUIET = ParameterChanges(denoise=0, sharpen=0)
TOKEN = "benchmark"  # noqa: S105 - opens nothing outside this run


class TimedNetwork:
    """One pass at a time, each taking so long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._device = threading.Lock()
        self.busy = 0.0
        self.first: float | None = None
        self.last = 0.0

    def restore(self, checkpoint: str, crops: FloatPixels, **_: Any) -> FloatPixels:
        """The crops as they came, one pass for each."""
        for _crop in crops:
            with self._device:
                began = time.perf_counter()
                time.sleep(self._seconds)
                self.last = time.perf_counter()
                self.busy += self.last - began
                self.first = self.first or began
        return crops.copy()


class OneCheckpoint(Checkpoints):
    """The bundled one, installed or not."""

    def pick(self, name: str, face_size: float) -> Entry:
        """Always the first of the manifest."""
        return self.entries()[0]


def parts(network: TimedNetwork) -> Any:
    """Real parts, but for the network."""

    def opened(settings: Settings, places: Places) -> Parts:
        library = OneCheckpoint(bundled("weights"), places.weights)
        tools = Tools(Detector(), network, library)
        return Parts(tools, library, "a timed network", dict, lambda: None, lambda: None)

    return opened


# --- ten thousand items -------------------------------------------------------------------------


async def items(count: int) -> None:
    """Memory and latency while the queue fills and empties."""
    with tempfile.TemporaryDirectory(prefix="gpen-batch-") as folder:
        home = Path(folder)
        places = Places(home / "bridge.json", home)
        places.exchange.mkdir(parents=True)
        pixels = np.random.default_rng(1).integers(0, 255, (60, 80, 3)).astype(np.uint8)
        (places.exchange / "a.png").write_bytes(encode(Image(pixels), Format.PNG).data)
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.batch", "live"],
            env={**os.environ, "GPEN_HOME": folder, "GPEN_MIN_FREE_BYTES": "0"},
            stdout=subprocess.PIPE,
        )
        try:
            assert child.stdout is not None
            child.stdout.readline()
            async with Client.from_announcement(places) as client:
                await _measure(client, child.pid, count)
        finally:
            child.terminate()
            await asyncio.to_thread(child.wait)


async def _measure(client: Client, pid: int, count: int) -> None:
    wanted = [ItemRequest(ref=str(number), source=Source(path="a.png")) for number in range(count)]
    job = (await client.submit(JobRequest(params=QUIET, items=tuple(wanted[:2000])))).job
    for start in range(2000, count, 2000):
        await client.add(job, ItemsRequest(items=tuple(wanted[start : start + 2000])))
    began, memory, due = time.perf_counter(), {}, 1000
    while (told := await client.job(job)).state is not JobStatus.finished:
        if told.counts.done >= due:
            memory[told.counts.done] = resident = _resident_mb(pid)
            print(
                f"{told.counts.done:6} done  {resident:7.1f} MB  {time.perf_counter() - began:.0f} s",
                flush=True,
            )
            due += 1000
        await asyncio.sleep(0.2)
    memory[count] = _resident_mb(pid)
    done = sorted(memory)
    # The first thousand fills caches and pools; growth is what comes after.
    growth = (memory[done[-1]] - memory[done[0]]) / max(1, (done[-1] - done[0]) / 1000)
    print(f"failed {told.counts.failed}; growth {growth:.2f} MB for each thousand after the first")
    page = f"/v1/jobs/{job}/items?limit=100&after={count // 2}"
    for what, path in (("job", f"/v1/jobs/{job}"), ("page of 100 items", page)):
        quickest, usual = await _milliseconds(client, path)
        print(f"GET {what}: {quickest:.1f} ms at best, {usual:.1f} ms median of 50, over HTTP")


async def _milliseconds(client: Client, path: str) -> tuple[float, float]:
    taken = []
    for _ in range(50):
        began = time.perf_counter()
        async with client._connection.answer("GET", path) as response:
            await response.read()
        taken.append(time.perf_counter() - began)
    return min(taken) * 1000, median(taken) * 1000


def _resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def live() -> None:
    """Be the bridge of `items`."""
    places = Places.current()
    settings = Settings(port=0, min_free_bytes=0)
    serve(settings, places, parts(TimedNetwork(0)), lambda started: print(started.url, flush=True))


# --- overlap ------------------------------------------------------------------------------------


async def overlap(photos: int, slow: float, fast: float) -> None:
    """How busy a slow network is, and what a fast one adds to the CPU stages."""
    with tempfile.TemporaryDirectory(prefix="gpen-batch-") as folder:
        photo = _photo()
        print(f"{photos} JPEGs of 24 megapixels, {len(photo) / 1e6:.1f} MB; {os.cpu_count()} cores")
        network = TimedNetwork(slow)
        before = time.process_time()
        wall = await _run(Path(folder) / "slow", photo, photos, network)
        spent = (time.process_time() - before) / photos
        busy = network.busy / (network.last - (network.first or 0))
        print(
            f"network of {slow} s: busy {busy:.1%} between first and last pass; {wall:.1f} s in all",
            flush=True,
        )
        print(f"CPU time of this process: {spent:.2f} s for each photo", flush=True)
        ratios = []
        for turn in range(2):
            alone = await _run(Path(folder) / f"none-{turn}", photo, photos, TimedNetwork(0))
            both = await _run(Path(folder) / f"fast-{turn}", photo, photos, TimedNetwork(fast))
            ratios.append(both / alone)
            print(f"CPU stages alone {alone:.1f} s, with a network of {fast} s {both:.1f} s", flush=True)
        print(f"median {median(ratios):.2f} times")


def _photo() -> bytes:
    """A face of about a fifth of the height in a 6,000 x 4,000 photo."""
    from skimage.data import astronaut

    face = cv2.resize(astronaut(), (4000, 4000), interpolation=cv2.INTER_CUBIC)
    grain = np.random.default_rng(2).normal(0, 3, face.shape)
    photo = np.full((4000, 6000, 3), 90, np.uint8)
    photo[:, 1000:5000] = np.clip(face + grain, 0, 255).astype(np.uint8)
    return encode(Image(photo), Format.JPEG, quality=92).data


async def _run(home: Path, photo: bytes, photos: int, network: TimedNetwork) -> float:
    """Seconds from the submission to the last result."""
    async with _bridge(home, network) as (client, places):
        (places.exchange / "photo.jpg").write_bytes(photo)
        wanted = tuple(
            ItemRequest(ref=str(number), source=Source(path="photo.jpg")) for number in range(photos)
        )
        began = time.perf_counter()
        job = (await client.submit(JobRequest(params=QUIET, items=wanted))).job
        while (told := await client.job(job)).state is not JobStatus.finished:
            await asyncio.sleep(0.05)
        assert told.counts.done == photos, told
        return time.perf_counter() - began


@contextlib.asynccontextmanager
async def _bridge(home: Path, network: TimedNetwork) -> AsyncIterator[tuple[Client, Places]]:
    places = Places(home / "bridge.json", home)
    settings = Settings(min_free_bytes=0)
    app = application.build(settings, places, owner_token=TOKEN, open_parts=parts(network))
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        await app[READINESS].settled()
        async with Client(f"http://127.0.0.1:{runner.addresses[0][1]}", TOKEN) as client:
            yield client, places
    finally:
        await runner.cleanup()


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("items", "overlap", "live"))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--photos", type=int, default=16)
    parser.add_argument("--slow", type=float, default=1.5)
    parser.add_argument("--fast", type=float, default=0.1)
    asked = parser.parse_args()
    if asked.what == "live":
        live()
    elif asked.what == "items":
        asyncio.run(items(asked.count))
    else:
        asyncio.run(overlap(asked.photos, asked.slow, asked.fast))


if __name__ == "__main__":
    main()
