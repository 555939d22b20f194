"""Fifty clients at once, for minutes: `python -m benchmarks.load --minutes 30`.

A real bridge process with a fake network, and four kinds of clients: batches (upload, submit, poll, fetch,
acknowledge), single pictures that somebody waits for, listeners of events, and a probe of `/v1/health` in a
process of its own. All work is checked: every accepted photo comes back once and with the right bytes, 429
comes only with a time to wait and 503 never, since the bridge is ready; events have no gap. Memory and file
handles are read from /proc (Linux). Prints the figures; exits with 1 when one of `PROMISES` is not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import http.client
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
from aiohttp import web

from benchmarks.torture import QUIET, Photo, photos

BATCH_CLIENTS, SINGLE_CLIENTS, LISTENERS, PROBES = 30, 15, 4, 1
PAIRED = 8
"""Tokens that the clients share: a bridge takes ten pairing codes a minute."""
NETWORK_SECONDS = 0.02
"""What the fake network takes for a picture's faces."""
PROBE_EVERY, SAMPLE_EVERY = 0.05, 2.0
WAIT_AT_MOST = 60.0
"""Longer than that for a photo, and it counts as lost."""
PROMISES: dict[str, Callable[[Any], bool]] = {
    "lost": lambda value: value == 0,
    "wrong": lambda value: value == 0,
    "unexpected": lambda value: not value,
    "refused_without_a_time": lambda value: value == 0,
    "event_gaps": lambda value: value == 0,
    "health_p99_ms": lambda value: value < 50,
    "handles_more": lambda value: value <= 8,
    "megabytes_more_per_1000": lambda value: value < 1,
}


# --- the clients --------------------------------------------------------------------------------


@dataclass
class Load:
    """What all clients share, and what they saw."""

    url: str
    tokens: Sequence[str]
    photos: Sequence[Photo]
    until: float
    rng: random.Random
    statuses: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    refused_without_a_time: int = 0
    accepted: int = 0
    lost: int = 0
    wrong: int = 0
    single_ms: list[float] = field(default_factory=list)
    batch_s: list[float] = field(default_factory=list)
    event_gaps: int = 0
    events: int = 0

    @property
    def over(self) -> bool:
        """Whether nothing new is to be begun."""
        return time.monotonic() > self.until

    async def ask(
        self, session: aiohttp.ClientSession, method: str, path: str, *, fine: Sequence[int], **body: Any
    ) -> tuple[int, bytes]:
        """One request, again after the time that a refusal tells; its status and body."""
        while True:
            async with session.request(method, self.url + path, **body) as response:
                content = await response.read()
                self.statuses[f"{method} {response.status}"] += 1
                if response.status not in (429, 503):
                    if response.status not in fine:
                        self.unexpected[f"{method} {path} {response.status} {content[:200]!r}"] += 1
                    return response.status, content
                wait = response.headers.get("Retry-After", "")
            if not wait.isdigit():
                self.refused_without_a_time += 1
            if response.status == 503:
                self.unexpected[f"{method} {path} 503 {content[:200]!r}"] += 1
            await asyncio.sleep(float(wait or 1) * self.rng.uniform(0.8, 1.2))


async def batches(load: Load, session: aiohttp.ClientSession, number: int) -> None:
    """Send a batch, wait for it, fetch and acknowledge each result; again until the time is over."""
    for turn in itertools.count():
        if load.over:
            return
        chosen = load.rng.sample(load.photos, 5)
        items = []
        for ref, photo in enumerate(chosen):
            kind = {"Content-Type": "application/octet-stream", "GPEN-File-Name": photo.name}
            _, told = await load.ask(
                session, "POST", "/v1/uploads", fine=[201], data=photo.data, headers=kind
            )
            items.append({"ref": str(ref), "source": {"upload": json.loads(told)["upload"]}})
        params = QUIET.model_dump(exclude_none=True)
        body = {"client": "load", "name": f"{number}-{turn}", "items": items, "params": params}
        key = {"Idempotency-Key": f"{number}-{turn}"}
        status, told = await load.ask(session, "POST", "/v1/jobs", fine=[202], json=body, headers=key)
        if status != 202:
            continue
        load.accepted += len(chosen)
        began = time.monotonic()
        job = f"/v1/jobs/{json.loads(told)['job']}"
        while json.loads((await load.ask(session, "GET", job, fine=[200]))[1])["state"] != "finished":
            if time.monotonic() - began > WAIT_AT_MOST:
                load.lost += len(chosen)
                return
            await asyncio.sleep(load.rng.uniform(0.3, 0.7))
        load.batch_s.append(time.monotonic() - began)
        _, told = await load.ask(session, "GET", f"{job}/items", fine=[200])
        for item, photo in zip(json.loads(told)["items"], chosen, strict=True):
            await _collect(load, session, f"{job}/items/{item['item']}", item, photo)


async def _collect(
    load: Load, session: aiohttp.ClientSession, path: str, item: dict[str, Any], photo: Photo
) -> None:
    if item["state"] == "done" and photo.fails_as is None:
        _, result = await load.ask(session, "GET", f"{path}/result", fine=[200])
        load.wrong += hashlib.sha256(result).hexdigest() != photo.expected_sha256
        await load.ask(session, "POST", f"{path}/ack", fine=[200], json={})
    else:
        load.wrong += item["state"] != "failed" or item["error"]["code"] != photo.fails_as


async def singles(load: Load, session: aiohttp.ClientSession) -> None:
    """One picture after the other, as somebody who looks at each for a while."""
    good = [photo for photo in load.photos if photo.fails_as is None and photo.name != "huge.png"]
    question = json.dumps({"params": QUIET.model_dump(exclude_none=True)})
    while not load.over:
        photo = load.rng.choice(good)
        form = aiohttp.FormData()
        form.add_field("request", question, content_type="application/json")
        form.add_field("image", photo.data, filename=photo.name, content_type="image/png")
        whole = form()
        kind = {"Content-Type": whole.content_type}
        sent = await whole.as_bytes()
        load.accepted += 1
        began = time.monotonic()
        status, answer = await load.ask(session, "POST", "/v1/enhance", fine=[200], data=sent, headers=kind)
        load.single_ms.append((time.monotonic() - began) * 1000)
        load.lost += status != 200
        load.wrong += status == 200 and hashlib.sha256(answer).hexdigest() != photo.expected_sha256
        await asyncio.sleep(load.rng.uniform(0.5, 1.5))


async def listens(load: Load, session: aiohttp.ClientSession, token: str) -> None:
    """Hear every event once, in order."""
    last: int | None = None
    async with session.ws_connect(load.url + "/v1/events") as socket:
        await socket.send_json({"token": token})
        while not load.over:
            try:
                told = await socket.receive_json(timeout=1)
            except TimeoutError:
                continue
            if told["type"] != "hello":
                load.events += 1
                load.event_gaps += last is not None and told["seq"] != last + 1
            last = told["seq"]


def probe(url: str, seconds: float) -> None:
    """Ask for health all the time; prints the milliseconds that each answer took.

    And in turn, for comparison, a server that does nothing else: what it takes is the machine's share.
    """
    idle = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load", "--idle"], stdout=subprocess.PIPE, text=True
    )
    assert idle.stdout is not None
    servers = {"health": urlsplit(url).netloc, "idle": f"127.0.0.1:{int(idle.stdout.readline())}"}
    took: dict[str, list[float]] = {name: [] for name in servers}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for name, address in servers.items():
            began = time.monotonic()
            asked = http.client.HTTPConnection(address, timeout=10)  # each anew, as a watchdog does
            asked.request("GET", "/v1/health")
            assert asked.getresponse().status == 200
            asked.close()
            took[name].append((time.monotonic() - began) * 1000)
            time.sleep(PROBE_EVERY)
    idle.terminate()
    idle.wait()
    idle.stdout.close()
    print(json.dumps(took))


async def answer_and_nothing_else() -> None:
    """A server of the same library with one handler; prints its port."""
    app = web.Application()

    async def health(_: web.Request) -> web.Response:
        return web.json_response({})

    app.router.add_get("/v1/health", health)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


# --- the bridge ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """The bridge's process at one moment."""

    accepted: int
    megabytes: float
    handles: int
    threads: int


def sample(pid: int, accepted: int) -> Sample:
    """Read it from /proc."""
    status = Path(f"/proc/{pid}/status").read_text()
    told = dict(line.split(":", 1) for line in status.splitlines())
    megabytes = int(told["VmRSS"].split()[0]) / 1024
    return Sample(accepted, megabytes, len(list(Path(f"/proc/{pid}/fd").iterdir())), int(told["Threads"]))


def trend(samples: Sequence[Sample]) -> dict[str, float]:
    """How much more the last third took than the second: the first one is warming up."""
    third = len(samples) // 3
    before, after = samples[third : 2 * third], samples[2 * third :]

    def more(of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, after)) - statistics.median(map(of, before))

    pictures = more(lambda one: one.accepted)
    return {
        "handles_more": more(lambda one: one.handles),
        "threads_more": more(lambda one: one.threads),
        "megabytes_more": round(more(lambda one: one.megabytes), 1),
        "megabytes_more_per_1000": round(more(lambda one: one.megabytes) * 1000 / max(pictures, 1), 2),
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not pass."""
    return round(sorted(values)[min(int(len(values) * share), len(values) - 1)], 1)


async def run(home: Path, minutes: float, seed: int) -> dict[str, Any]:
    """Start a bridge, put the load on it, stop it; the figures."""
    command = [sys.executable, "-m", "tests.server.standalone", "0", str(NETWORK_SECONDS)]
    with (home / "output").open("wb") as output:
        bridge = subprocess.Popen(
            command, env={**os.environ, "GPEN_HOME": str(home)}, stdout=output, stderr=output
        )
    try:
        return await _figures(bridge, home, minutes, seed)
    finally:
        bridge.terminate()
        bridge.wait(60)


async def _figures(bridge: subprocess.Popen[bytes], home: Path, minutes: float, seed: int) -> dict[str, Any]:
    while not (home / "bridge.json").is_file():
        await asyncio.sleep(0.05)
    told = json.loads((home / "bridge.json").read_text())
    tokens = [told["token"], *await _pair(told["url"], told["token"])]
    load = Load(
        told["url"],
        tokens,
        photos(np.random.default_rng(seed)),
        time.monotonic() + minutes * 60,
        random.Random(seed),  # noqa: S311 - chance, not secrets
    )
    command = [sys.executable, "-m", "benchmarks.load", "--probe", load.url, "--minutes", str(minutes)]
    prober = subprocess.Popen(command, stdout=subprocess.PIPE)
    samples: list[Sample] = []

    async def watch() -> None:
        while not load.over:
            samples.append(sample(bridge.pid, load.accepted))
            await asyncio.sleep(SAMPLE_EVERY)

    async def as_client(number: int, work: Callable[..., Any], *words: Any) -> None:
        token = tokens[number % len(tokens)]
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
            await work(load, session, *words)

    clients: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        *((batches, (number,)) for number in range(BATCH_CLIENTS)),
        *((singles, ()) for _ in range(SINGLE_CLIENTS)),
        *((listens, (tokens[0],)) for _ in range(LISTENERS)),
    ]
    began = time.monotonic()
    await asyncio.gather(
        watch(), *(as_client(number, work, *words) for number, (work, words) in enumerate(clients))
    )
    took = json.loads((await asyncio.to_thread(prober.communicate))[0])
    return {
        "clients": len(clients) + PROBES,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "photos": load.accepted,
        "lost": load.lost,
        "wrong": load.wrong,
        "unexpected": dict(load.unexpected),
        "refused_without_a_time": load.refused_without_a_time,
        "statuses": dict(sorted(load.statuses.items())),
        "events": load.events,
        "event_gaps": load.event_gaps,
        "health_p50_ms": percentile(took["health"], 0.5),
        "health_p99_ms": percentile(took["health"], 0.99),
        "health_worst_ms": round(max(took["health"]), 1),
        "idle_p50_ms": percentile(took["idle"], 0.5),
        "idle_p99_ms": percentile(took["idle"], 0.99),
        "idle_worst_ms": round(max(took["idle"]), 1),
        "single_p50_ms": percentile(load.single_ms, 0.5),
        "single_p99_ms": percentile(load.single_ms, 0.99),
        "single_worst_ms": round(max(load.single_ms), 1),
        "batch_of_5_p50_s": percentile(load.batch_s, 0.5),
        "batch_of_5_p99_s": percentile(load.batch_s, 0.99),
        **trend(samples),
        "megabytes": round(samples[-1].megabytes),
        "handles": samples[-1].handles,
        "threads": samples[-1].threads,
    }


async def _pair(url: str, owner: str) -> list[str]:
    tokens = []
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {owner}"}) as session:
        for number in range(PAIRED):
            async with session.post(url + "/v1/pair/code", json={}) as response:
                code = (await response.json())["code"]
            body = {"code": code, "client": "load", "name": f"Client {number}"}
            async with session.post(url + "/v1/pair", json=body) as response:
                tokens.append((await response.json())["token"])
    return tokens


def main() -> None:
    """Run it, print the figures, and say which promise was not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="30 is the long form")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    parser.add_argument("--idle", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.probe:
        probe(asked.probe, asked.minutes * 60)
        return
    if asked.idle:
        asyncio.run(answer_and_nothing_else())
    with tempfile.TemporaryDirectory() as home:
        figures = asyncio.run(run(Path(home), asked.minutes, asked.seed))
    print(json.dumps(figures, indent=1))
    broken = [name for name, kept in PROMISES.items() if not kept(figures[name])]
    if broken:
        print(f"not kept: {', '.join(broken)}", file=sys.stderr)
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
