"""The whole studio through the protocol: a batch with faults in its middle, and two clients that share."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studio.house import House, house
from bridge.client import Client
from bridge.engine.ray_driver import knock
from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from bridge.jobs.audit import verify
from bridge.metrics import Stages
from bridge.presets import BUILT_IN
from bridge.protocol.enhancement import EnhanceRequest, ParameterChanges
from bridge.protocol.jobs import ItemRequest, JobRequest, JobState, Source
from bridge.protocol.picture import ImageFile
from bridge.reply import Work, reply_to

PHOTOS = 5
QUIET = ParameterChanges(denoise=0, sharpen=0)
LONGEST = 1500.0


def photos(folder: Path) -> list[Path]:
    """Small portraits that differ in brightness; one face each."""
    from skimage import data

    portrait = data.astronaut()[:320, :400]
    made = []
    for number in range(PHOTOS):
        path = folder / f"portrait-{number}.png"
        darker = (portrait * (1 - 0.08 * number)).astype(np.uint8)
        path.write_bytes(encode(Image(darker), Format.PNG).data)
        made.append(path)
    return made


def expected(paths: list[Path], folder: Path) -> list[str]:
    """SHA-256 of what this machine makes of them without a studio."""
    from bridge.checkpoints import Checkpoints
    from bridge.config import bundled
    from bridge.engine.device import choose
    from bridge.engine.engine import Engine
    from bridge.faces.detect import Detector
    from bridge.pipeline import Tools

    library = Checkpoints(bundled("weights"), folder / "weights")
    preset = (
        next(one for one in BUILT_IN if one.name == "default")
        if isinstance(BUILT_IN, tuple)
        else BUILT_IN["default"]
    )
    told = []
    with Engine(library.open, choose("cpu", 1)) as engine:
        for path in paths:
            question = EnhanceRequest(preset="default", params=QUIET)
            work = Work(
                question.parameters(preset.parameters),
                Tools(Detector(), engine, library),
                False,
                threading.Event(),
                Stages(),
            )
            reply = reply_to(ImageFile(path.read_bytes(), "image/png"), question, work)
            assert any(face.checkpoint for face in reply.result.faces), "no face was restored"
            told.append(hashlib.sha256(b"".join(map(bytes, reply.parts))).hexdigest())
    return told


@dataclass
class Studio:
    """A running studio with somebody at the protocol."""

    built: House
    client: Client

    async def workers(self) -> list[Any]:
        """Those that answer."""
        return [one for one in (await self.client.workers()).workers if one.healthy]

    async def until_workers(self, count: int, seconds: float = 240) -> float:
        """Wait for so many healthy workers; how long it took."""
        began = time.monotonic()
        while len(await self.workers()) < count:
            assert time.monotonic() - began < seconds, (await self.client.workers(), self.built.log("bridge"))
            await asyncio.sleep(0.2)
        return time.monotonic() - began

    async def submit(self, client: Client, paths: list[Path], count: int, name: str) -> JobState:
        """A batch of so many photos by upload."""
        uploads = [(await client.upload(path)).upload for path in paths]
        items = tuple(
            ItemRequest(ref=f"{name}-{number}", source=Source(upload=uploads[number % PHOTOS]))
            for number in range(count)
        )
        return await client.submit(
            JobRequest(client="test", name=name, preset="default", params=QUIET, items=items)
        )

    async def done(self, job: str) -> int:
        """Results so far."""
        return (await self.client.job(job)).counts.done

    async def until_done(self, job: str, count: int) -> float:
        """Wait for so many results; how long it took."""
        began = time.monotonic()
        while await self.done(job) < count:
            assert time.monotonic() - began < LONGEST, await self.client.job(job)
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def paired(self, name: str) -> Client:
        """Another client, with a token of its own."""
        import aiohttp

        code = (await self.client.pair_code("submit,review")).code
        url = self.built.announced()["url"]
        async with aiohttp.ClientSession() as session:
            body = {"code": code, "client": "test", "name": name}
            async with session.post(f"{url}/v1/pair", json=body) as answer:
                return Client(url, (await answer.json())["token"])


async def faults(folder: Path, items: int, cut: float) -> dict[str, Any]:
    """One batch; an actor, a node and the head are killed in its middle, and the network is cut."""
    paths = photos(folder)
    right = await asyncio.to_thread(expected, paths, folder)
    told: dict[str, Any] = {"items": items}
    with house(folder / "h", GPEN_RETRY_SECONDS="1") as built:
        built.up()
        url = built.announced()
        for number in range(2):
            built.join(number)
        async with Client(url["url"], url["token"]) as client:
            studio = Studio(built, client)
            told["first_workers_seconds"] = await studio.until_workers(2)
            job = (await studio.submit(client, paths, items, "faults")).job
            began = time.monotonic()
            await studio.until_done(job, int(0.05 * items))
            told["cut"] = await _cut(studio, job, cut)
            marks = [(0.2, "actor", _kill_actor), (0.35, "node", _kill_node), (0.6, "head", _kill_head)]
            for part, name, fault in marks:
                await studio.until_done(job, int(part * items))
                told[name] = await _strike(studio, job, fault)
                print(name, told[name], file=sys.stderr, flush=True)
            await studio.until_done(job, items)
            told["seconds"] = time.monotonic() - began
            told["state"] = str((await client.job(job)).state)
            found = [item async for item in client.items(job)]
            outputs = list((built.folder / "bridge" / "outputs").rglob("*.png"))
        told["must_be_zero"] = {
            "not_done": sum(str(item.state) != "done" for item in found),
            "items_off": abs(len(found) - items),
            "wrong_bytes": sum(
                item.result is None or item.result.sha256 != right[int(item.ref.rpartition("-")[2]) % PHOTOS]
                for item in found
            ),
            "outputs_off": abs(len(outputs) - items),
            "audit_lines_off": abs(verify(built.folder / "bridge" / "audit") - items),
            "stray_files": len(list((built.folder / "bridge" / "outputs").rglob("*.part*"))),
        }
        told["attempts"] = dict(Counter(item.attempts for item in found))
    return told


async def _strike(studio: Studio, job: str, fault: Callable[[Studio, Any], None]) -> dict[str, float]:
    """A fault; seconds until the next result, and until both workers are there again."""
    victim = (await studio.workers())[0]
    before = await studio.done(job)
    assert before < (await studio.client.job(job)).counts.total - 10, "the batch is over: take more items"
    fault(studio, victim)
    began = time.monotonic()
    told: dict[str, float] = {}
    if fault is _kill_head:
        while knock(studio.built.head):  # what was killed takes a moment to be gone
            await asyncio.sleep(0.01)
        while not knock(studio.built.head):
            await asyncio.sleep(0.05)
        told["head_back_after_seconds"] = time.monotonic() - began
        # What was on its way home when it died has long arrived.
        told["resumed_after_return_seconds"] = await studio.until_done(job, await studio.done(job) + 1)
    await studio.until_done(job, before + 8)  # more than were on their way home already
    counts = (await studio.client.job(job)).counts
    return told | {"next_8_results_seconds": time.monotonic() - began, "done_then": counts.done}


def _kill_actor(_studio: Studio, victim: Any) -> None:
    os.kill(victim.pid, signal.SIGKILL)


def _kill_node(studio: Studio, _victim: Any) -> None:
    """All of a node but the command that looks after it, as when a machine's services crash together."""
    studio.built.parts["node0"].signal_all(signal.SIGKILL, itself=False)


def _kill_head(studio: Studio, _victim: Any) -> None:
    for pid, line in studio.built.parts["bridge"].descendants().items():
        if "gcs_server" in line or "raylet/raylet" in line:
            os.kill(pid, signal.SIGKILL)


async def _cut(studio: Studio, job: str, seconds: float) -> dict[str, Any]:
    """Both nodes are cut off for some time."""
    how = studio.built.cut()
    await asyncio.sleep(seconds)
    during = await studio.done(job)
    waiting = await studio.client.ready()
    counts = (await studio.client.job(job)).counts
    studio.built.cut(mended=True)
    return {
        "how": how,
        "seconds": seconds,
        "failed_meanwhile": counts.failed,
        "reasons_meanwhile": [reason.code for reason in waiting.reasons],
        "resumed_after_seconds": await studio.until_done(job, during + 1),
    }


async def share(folder: Path, _items: int, _cut: float) -> dict[str, Any]:
    """A night batch of one client, and ten photos of another that come later."""
    paths = photos(folder)
    with house(folder / "h", GPEN_JOB_WORKERS="3") as built:
        built.up()
        url = built.announced()
        for number in range(2):
            built.join(number)
        async with Client(url["url"], url["token"]) as client:
            studio = Studio(built, client)
            await studio.until_workers(2)
            async with await studio.paired("night") as night, await studio.paired("anna") as anna:
                alone = (await studio.submit(anna, paths, 10, "alone")).job
                alone_seconds = await studio.until_done(alone, 10)
                long = (await studio.submit(night, paths, 300, "night")).job
                await studio.until_done(long, 10)
                before = await studio.done(long)
                short = (await studio.submit(anna, paths, 10, "anna")).job
                seconds = await studio.until_done(short, 10)
                meanwhile = await studio.done(long) - before
                waited = (await client.job(long)).counts.queued
                await client.steer(long, "cancel")
    return {
        "ten_photos_alone_seconds": alone_seconds,
        "ten_photos_beside_the_batch_seconds": seconds,
        "of_the_batch_meanwhile": meanwhile,
        "of_the_batch_still_waiting": waited,
        "holds": meanwhile <= 16,
    }
