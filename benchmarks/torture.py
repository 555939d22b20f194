"""Kill the bridge over and over, and count what is lost: `python -m benchmarks.torture --kills 200`.

A real bridge process with a real store, a fake network, and batches of good, bad, huge, zero-face and
duplicate photos. It is killed (SIGKILL) at random moments and once at each named step of an item.
Then everything is worked off and checked: every acknowledged item settled, every result there once
and with the right bytes, no torn or stray file, no gap in the events, the audit log unbroken.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bridge.client import Client
from bridge.config import Places, Settings, load
from bridge.errors import BridgeUnreachable
from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from bridge.jobs.audit import verify
from bridge.jobs.job import CRASHES_BEFORE_ALONE
from bridge.metrics import Stages
from bridge.presets import BUILT_IN
from bridge.protocol.enhancement import EnhanceRequest, ParameterChanges
from bridge.protocol.jobs import ItemRequest, ItemsRequest, JobRequest, JobState, JobStatus, Source
from bridge.protocol.picture import ImageFile
from bridge.reply import Work, reply_to

STEPS = ("leased", "read", "enhanced", "written", "promised", "published", "recorded")
"""Of an item, in their order; `bridge/jobs/runner.py` and `outputs.py` name them."""
ZEROS = (
    *("lost", "published_twice", "torn_or_wrong", "stray_files", "event_gaps", "audit_lines_off"),
    "crash_loop_undeserved",
)
"""The figures that may be nothing but 0."""
QUIET = ParameterChanges(denoise=0, sharpen=0)


# --- the victim ---------------------------------------------------------------------------------


def live(die_at: str | None, at_occurrence: int) -> None:
    """Be a bridge, until killed; at a step, by one's own hand."""
    from bridge.server import app as application
    from bridge.server import serve as serving
    from tests.server.fakes import FakeParts

    seen = 0

    def step(name: str) -> None:
        nonlocal seen
        if name == die_at:
            seen += 1
            if seen == at_occurrence:
                os.kill(os.getpid(), signal.SIGKILL)

    began = time.perf_counter()
    build = application.build

    def timed(*args: Any, **kwargs: Any) -> Any:
        nonlocal began
        began = time.perf_counter()
        return build(*args, **kwargs, steps=step)

    vars(application)["build"] = timed  # the module that `serve` asks
    places = Places.current()

    def tell(started: Any) -> None:
        print(json.dumps({"url": started.url, "open_seconds": time.perf_counter() - began}), flush=True)

    serving.serve(load(places, port=0), places, FakeParts().open, tell)


# --- the photos ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Photo:
    """A file, and what must come of it."""

    name: str
    data: bytes = field(repr=False)
    fails_as: str | None
    expected_sha256: str | None


def photos(rng: np.random.Generator) -> list[Photo]:
    """Good, huge, zero-face, duplicate and bad ones."""

    def picture(width: int, height: int) -> bytes:
        small = rng.integers(40, 210, (height // 8 + 1, width // 8 + 1, 3)).astype(np.uint8)
        pixels = np.ascontiguousarray(small.repeat(8, 0).repeat(8, 1)[:height, :width])
        return encode(Image(pixels), Format.PNG).data

    made = [(f"good-{number}.png", picture(96 + number, 80)) for number in range(4)]
    made += [("huge.png", picture(2000, 1500)), ("no-face.png", picture(40, 30))]
    made += [("good-0.png", made[0][1]), ("twin.png", made[1][1])]
    told = [Photo(name, data, None, _expected(data)) for name, data in made]
    told.append(Photo("torn.png", made[0][1][: len(made[0][1]) // 2], "image_truncated", None))
    told.append(Photo("text.png", b"not a picture at all", "format_unsupported", None))
    told.append(Photo("empty.png", b"", "format_unsupported", None))
    return told


def _expected(data: bytes) -> str:
    """What the pipeline alone makes of a photo."""
    from tests.server.fakes import FakeParts

    with tempfile.TemporaryDirectory() as home:
        places = Places(Path(home) / "bridge.json", Path(home))
        tools = FakeParts().open(Settings(), places).tools
        question = EnhanceRequest(params=QUIET)
        parameters = QUIET.onto(BUILT_IN["default"].parameters)
        work = Work(parameters, tools, False, threading.Event(), Stages())
        reply = reply_to(ImageFile(data, ""), question, work)
    return hashlib.sha256(b"".join(map(bytes, reply.parts))).hexdigest()


# --- the torturer -------------------------------------------------------------------------------


@dataclass
class Torture:
    """One home, killed many times."""

    home: Path
    seed: int
    stored: int = 0
    sent: dict[str, list[Photo]] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    ready_seconds: list[float] = field(default_factory=list)
    open_seconds: list[float] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    died_with: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)  # noqa: S311 - chance, not secrets
        self.photos = photos(np.random.default_rng(self.seed))
        self.places = Places(self.home / "bridge.json", self.home)

    async def run(self, kills: int, steps: Sequence[str] = STEPS) -> dict[str, Any]:
        """Kill so often, then work everything off and check; the figures, all of which should be 0."""
        if self.stored:
            await self._store_many()
        for name in steps:
            await self._die_at(name)
        for number in range(kills):
            await self._killed_at_random(number)
        async with self._alive() as (client, _):
            await self._work_off(client)
            return await self._check(client)

    async def _die_at(self, step: str) -> None:
        async with self._alive("--die-at", step, "--occurrence", str(self.rng.randint(1, 3))) as (
            client,
            child,
        ):
            with contextlib.suppress(BridgeUnreachable):  # it may die before it can answer
                await self._submit(client)
            await asyncio.wait_for(asyncio.to_thread(child.wait), 60)
            assert child.returncode == -signal.SIGKILL
            self.deaths[step] += 1

    async def _killed_at_random(self, number: int) -> None:
        async with self._alive() as (client, child):
            moment = asyncio.create_task(self._kill_later(child))
            with contextlib.suppress(BridgeUnreachable):
                if number % 3 == 0 or not await self._unfinished(client):
                    await self._submit(client)
            await moment
            self.deaths["random"] += 1

    async def _kill_later(self, child: subprocess.Popen[bytes]) -> None:
        await asyncio.sleep(self.rng.uniform(0.0, 0.6))
        child.kill()
        await asyncio.to_thread(child.wait)

    async def _unfinished(self, client: Client) -> bool:
        listed = await client.jobs(limit=20)
        return any(job.state in (JobStatus.queued, JobStatus.running) for job in listed.jobs)

    async def _submit(self, client: Client) -> None:
        chosen = self.photos[:]
        self.rng.shuffle(chosen)
        folder = self.places.exchange / f"batch-{len(self.sent)}-{self.rng.getrandbits(32):x}"
        items = []
        for index, photo in enumerate(chosen):
            path = folder / str(index) / photo.name
            path.parent.mkdir(parents=True)
            path.write_bytes(photo.data)
            name = path.relative_to(self.places.exchange).as_posix()
            items.append(ItemRequest(ref=f"{index}", source=Source(path=name)))
        request = JobRequest(client="torture", name=folder.name, params=QUIET, items=tuple(items))
        self.sent[folder.name] = chosen
        await client.submit(request, idempotency_key=folder.name)
        self.acknowledged.add(folder.name)

    async def _work_off(self, client: Client) -> None:
        for job in await self._stored(client):
            while (await client.job(job)).state is not JobStatus.finished:
                await asyncio.sleep(0.05)

    async def _check(self, client: Client) -> dict[str, Any]:
        stored = await self._stored(client)
        lost = len(self.acknowledged - set(stored.values()))
        wrong = looped = undeserved = 0
        names: list[str] = []
        settled = 0
        for job, name in stored.items():  # also those whose acknowledgement the kill cut off
            chosen = self.sent[name]
            items = [item async for item in client.items(job)]
            lost += abs(len(items) - len(chosen))
            for item, photo in zip(items, chosen, strict=False):
                settled += 1
                if item.error is not None and item.state == "failed":
                    if item.error.code == "crash_loop":
                        looped += 1
                        undeserved += self.died_with[f"{job}/{item.item}"] <= CRASHES_BEFORE_ALONE
                    wrong += item.error.code not in (photo.fails_as, "crash_loop")
                elif item.result is None:
                    lost += 1
                else:
                    names.append(item.result.name)
                    path = self.places.outputs / item.result.name
                    there = path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest()
                    wrong += (
                        photo.fails_as is not None or not there == item.result.sha256 == photo.expected_sha256
                    )
        told = await client.jobs(limit=500)
        for past in (job.job for job in told.jobs if job.client == "past"):
            async for item in client.items(past, state="done"):  # it may have begun before it was paused
                assert item.result is not None
                names.append(item.result.name)
                settled += 1
        files = [path for path in self.places.outputs.rglob("*") if path.is_file()]
        stray = [path for path in files if path.relative_to(self.places.outputs).as_posix() not in names]
        gaps, doubled = await self._events(client)
        lines = [
            json.loads(line)
            for path in sorted(self.places.audit.iterdir())
            for line in path.read_bytes().splitlines()
        ]
        verify(self.places.audit)
        return {
            "kills": sum(self.deaths.values()),
            "items": settled,
            "lost": lost,
            "published_twice": len(names) - len(set(names)) + doubled,
            "torn_or_wrong": wrong,
            "stray_files": len(stray),
            "event_gaps": gaps,
            "audit_lines_off": abs(len({line["key"] for line in lines}) - settled) + len(lines) - settled,
            "crash_loop": looped,
            "crash_loop_undeserved": undeserved,
            "ready_seconds_median": round(sorted(self.ready_seconds)[len(self.ready_seconds) // 2], 2),
            "ready_seconds_worst": round(max(self.ready_seconds), 2),
            "open_seconds_worst": round(max(self.open_seconds), 2),
        }

    async def _stored(self, client: Client) -> dict[str, str]:
        """Names of the batches by job id."""
        told = await client.jobs(limit=500)
        return {job.job: job.name for job in told.jobs if job.client == "torture"}

    async def _events(self, client: Client) -> tuple[int, int]:
        """Gaps in the numbers, and items that were told to be done more than once."""
        seen, done = [], Counter[str]()
        newest = None
        async with asyncio.timeout(120):
            async for event in client.events(since=0):
                if event["type"] == "hello":
                    newest = event["seq"]
                    if not event["complete"]:
                        return 1, 0
                    continue
                seen.append(event["seq"])
                if event["type"] == "item" and event["state"]["state"] == "done":
                    done[f"{event['job']}/{event['state']['item']}"] += 1
                if event["seq"] >= (newest or 0):
                    break
        gaps = sum(after != before + 1 for before, after in itertools.pairwise(seen))
        return gaps + (seen[0] != 1), sum(count - 1 for count in done.values())

    async def _store_many(self) -> None:
        """Fill the store with a finished and paused past, so that starts are not easy."""
        async with self._alive() as (client, child):
            (self.places.exchange / "one.png").write_bytes(self.photos[0].data)
            items = tuple(
                ItemRequest(ref=str(number), source=Source(path="one.png")) for number in range(self.stored)
            )
            job: JobState = await client.submit(JobRequest(client="past", items=items[:2000]))
            await client.steer(job.job, "pause")
            for start in range(2000, len(items), 2000):
                await client.add(job.job, ItemsRequest(items=items[start : start + 2000]))
            while (told := await client.job(job.job)).counts.leased:  # begun before it was paused
                await asyncio.sleep(0.05)
            assert told.state in (JobStatus.paused, JobStatus.finished), told
            child.terminate()
            await asyncio.to_thread(child.wait)
        with contextlib.closing(sqlite3.connect(self.places.store)) as store:
            # Never one that is done: it has a file and a line in the audit log.
            half = (
                "UPDATE items SET state = 'failed', audited = 1"
                " WHERE job = ? AND item % 2 = 1 AND state = 'queued'"
            )
            store.execute(half, (job.job,))
            store.commit()

    def _note_what_it_died_with(self) -> None:
        """The items that were in a stage at this death: only three such deaths may fail one."""
        with contextlib.closing(sqlite3.connect(self.places.store)) as store:
            held = "SELECT job, item FROM items WHERE lease_id IS NOT NULL AND stage IS NOT NULL"
            self.died_with.update(f"{job}/{item}" for job, item in store.execute(held))

    @contextlib.asynccontextmanager
    async def _alive(self, *words: str) -> AsyncIterator[tuple[Client, subprocess.Popen[bytes]]]:
        began = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.torture", "--live", *words],
            env={
                **os.environ,
                "GPEN_HOME": str(self.home),
                "GPEN_MIN_FREE_BYTES": "0",
                "GPEN_RETRY_SECONDS": "0",
            },
            stdout=subprocess.PIPE,
        )
        try:
            assert child.stdout is not None
            told = json.loads(await asyncio.to_thread(child.stdout.readline))
            async with Client.from_announcement(self.places) as client:
                with contextlib.suppress(BridgeUnreachable):
                    while not (await client.ready()).ready:
                        await asyncio.sleep(0.01)
                    self.ready_seconds.append(time.perf_counter() - began)
                    self.open_seconds.append(told["open_seconds"])
                with contextlib.suppress(BridgeUnreachable):
                    yield client, child
        finally:
            child.kill()
            await asyncio.to_thread(child.wait)
            if child.stdout:
                child.stdout.close()
            self._note_what_it_died_with()


def main() -> None:
    """Torture a fresh home, print the figures; exit status 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stored", type=int, default=10_000)
    parser.add_argument("--live", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--die-at", help=argparse.SUPPRESS)
    parser.add_argument("--occurrence", type=int, default=1, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.live:
        live(asked.die_at, asked.occurrence)
        return
    with tempfile.TemporaryDirectory(prefix="gpen-torture-") as home:
        figures = asyncio.run(Torture(Path(home), asked.seed, asked.stored).run(asked.kills))
    for name, value in figures.items():
        print(f"{name:24} {value}")
    sys.exit(any(figures[name] for name in ZEROS))


if __name__ == "__main__":
    main()
