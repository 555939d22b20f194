"""A bridge whose passes run elsewhere, with a cluster that the test plays."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bridge.config import Places, Settings
from bridge.engine.pool import Pool
from bridge.engine.workers import Call, Done, Seen, WorkerState
from bridge.server.parts import Parts
from tests.server.conftest import Bridge, Samples, Start
from tests.server.fakes import FakeParts
from tests.server.test_jobs import item, submit, until, upload

WORKER = WorkerState("w1", "node1", "gpu1", "a GPU", healthy=True, checkpoints={"fake": "torch"}, pid=7)


class AutoCluster:
    """Restores what comes while it is there, in a thread of its own; keeps it while it is not."""

    def __init__(self) -> None:
        self.there = True
        self.draining = False
        self.cancelled: list[int] = []

    def start(self, on_report: Any) -> None:
        self.tell = on_report
        self.see()

    def see(self) -> None:
        self.tell(
            Seen(
                (replace(WORKER, draining=self.draining),) if self.there else (), "" if self.there else "Cut."
            )
        )

    def submit(self, call: Call) -> None:
        if self.there:
            done = Done(call.call, np.asarray(call.crop * 0.8 + 0.1, np.float32))
            threading.Thread(target=self.tell, args=(done,)).start()

    def cancel(self, call: int) -> None:
        self.cancelled.append(call)

    def drain(self, node: str, draining: bool) -> None:
        self.draining = draining
        self.see()

    def close(self) -> None:
        pass


class StudioParts(FakeParts):
    """The fakes, with a pool as engine."""

    def open(self, settings: Settings, places: Places) -> Parts:
        parts = super().open(settings, places)
        self.cluster = AutoCluster()
        self.pool = Pool(self.cluster, patience=0.2)
        tools = replace(parts.tools, engine=self.pool)
        return replace(parts, tools=tools, problem=lambda: self.pool.problem, pool=self.pool)


@pytest.fixture
def fakes() -> StudioParts:
    return StudioParts()


@pytest.fixture
async def studio(start: Start, fakes: StudioParts) -> Bridge:
    running = await start(fakes)
    await running.ready()
    return running


async def test_without_workers_nothing_is_leased_and_no_try_is_lost(
    studio: Bridge, fakes: StudioParts, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.jobs.runner.STORE_PAUSE", 0.05)
    source = {"upload": await upload(studio, samples.png)}
    fakes.cluster.there = False  # but nobody has noticed yet
    job = await submit(studio, [source])
    while not fakes.pool.at_work:
        await studio("GET", "/v1/health")
    fakes.cluster.see()
    await until(studio, job, lambda told: told.get("waiting", {}).get("code") == "workers_unreachable")
    told = (await studio("GET", "/v1/ready")).json
    assert (told["ready"], told["reasons"][0]["code"]) == (False, "workers_unreachable")
    assert (await studio("GET", "/v1/health")).json["status"] == "degraded"
    refused = await studio("POST", "/v1/enhance", data=samples.form())
    assert (refused.status, refused.code) == (503, "workers_unreachable")
    assert "Retry-After" in refused.headers
    fakes.cluster.there = True
    fakes.cluster.see()
    assert (await until(studio, job))["counts"]["done"] == 1
    assert (await item(studio, job))["attempts"] == 1
    assert (await studio("GET", "/v1/health")).json["status"] == "ok"


async def test_workers_are_listed_and_drained(studio: Bridge, fakes: StudioParts) -> None:
    told = (await studio("GET", "/v1/workers")).json["workers"]
    assert [(one["host"], one["healthy"], one["checkpoints"]) for one in told] == [("gpu1", True, ["fake"])]
    assert (await studio("POST", "/v1/workers/gpu1/drain")).json["workers"][0]["draining"]
    assert not (await studio("POST", "/v1/workers/node1/resume")).json["workers"][0]["draining"]
    assert (await studio("POST", "/v1/workers/nowhere/drain")).code == "worker_unknown"


async def test_a_desktop_has_no_workers(bridge: Bridge) -> None:
    assert (await bridge("GET", "/v1/workers")).json["workers"] == []
    assert (await bridge("POST", "/v1/workers/x/drain")).code == "worker_unknown"


async def test_metrics_tell_each_clients_queue_and_the_workers(studio: Bridge, samples: Samples) -> None:
    source = {"upload": await upload(studio, samples.png)}
    job = await submit(studio, [source])
    text = (await studio("GET", "/metrics")).body.decode()
    assert 'gpen_workers{health="healthy"} 1.0' in text
    await until(studio, job)
    await studio("POST", f"/v1/jobs/{job}/pause")
    assert "gpen_client_queue_items{" not in (await studio("GET", "/metrics")).body.decode()
