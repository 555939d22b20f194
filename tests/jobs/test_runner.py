"""The workers in a whole bridge, while things around them break."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from bridge.jobs import spool
from bridge.jobs.audit import AuditLog, verify
from bridge.jobs.outputs import Outputs
from bridge.jobs.queue import Queue
from bridge.server.app import STORE
from bridge.server.jobs import RUNNER
from tests.server.conftest import Bridge, Samples, Start, bridge, start
from tests.server.test_jobs import item, submit, until, upload

__all__ = ["bridge", "start"]  # fixtures of the server's tests, used here too


async def test_a_low_disk_pauses_and_says_so(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await start(min_free_bytes=1000)
    await running.ready()
    source = {"upload": await upload(running, samples.png)}
    monkeypatch.setattr(Outputs, "free_bytes", property(lambda _: 999))
    job = await submit(running, [source])
    waiting = await until(running, job, lambda told: told.get("waiting", {}).get("code") == "disk_low")
    assert waiting["state"] == "queued"
    ready = (await running("GET", "/v1/ready")).json
    assert ready["ready"]
    assert [reason["code"] for reason in ready["reasons"]] == ["disk_low"]
    monkeypatch.undo()
    running.app[RUNNER].wake()
    assert (await until(running, job))["counts"]["done"] == 1
    assert (await running("GET", "/v1/ready")).json["reasons"] == []


async def test_a_full_disk_costs_no_tries(
    bridge: Bridge, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("bridge.jobs.runner.DISK_PAUSE", 0.2)
    source = {"upload": await upload(bridge, samples.png)}
    monkeypatch.setattr(spool.os, "fsync", full)
    job = await submit(bridge, [source])
    await until(bridge, job, lambda told: told.get("waiting", {}).get("code") == "disk_full")
    monkeypatch.undo()
    assert (await until(bridge, job))["counts"]["done"] == 1
    assert (await item(bridge, job))["attempts"] == 1
    assert not list(bridge.places.outputs.glob(".gpen-*"))


async def test_a_disk_that_fails_once_is_tried_again(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await start(retry_seconds=0.01)
    await running.ready()
    honest, failures = os.fsync, [1, 1]

    def fail_twice(handle: int) -> None:
        if failures:
            failures.pop()
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        honest(handle)

    source = {"upload": await upload(running, samples.png)}
    monkeypatch.setattr(spool.os, "fsync", fail_twice)
    job = await submit(running, [source])
    assert (await until(running, job))["counts"]["done"] == 1
    assert (await item(running, job))["attempts"] == 3


async def test_a_source_that_goes_meanwhile_is_named(bridge: Bridge, samples: Samples) -> None:
    path = bridge.places.exchange / "a.png"
    path.write_bytes(samples.png)
    bridge.fakes.engine.gate.clear()
    blocker = await submit(bridge, [{"upload": await upload(bridge, samples.png)}] * 6)
    job = await submit(bridge, [{"path": "a.png"}])
    path.unlink()
    bridge.fakes.engine.gate.set()
    await until(bridge, blocker)
    await until(bridge, job)
    assert (await item(bridge, job))["error"]["code"] == "source_missing"


async def test_a_locked_store_is_waited_for(bridge: Bridge, samples: Samples) -> None:
    with bridge.app[STORE].write() as rows:
        pass
    rows.execute("PRAGMA busy_timeout = 50")
    bridge.fakes.engine.gate.clear()
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}] * 3)
    await until(bridge, job, lambda told: told["counts"]["leased"] == 3)
    other = sqlite3.connect(bridge.places.store, isolation_level=None, timeout=20)
    other.execute("BEGIN IMMEDIATE")
    bridge.fakes.engine.gate.set()
    assert (await bridge("POST", f"/v1/jobs/{job}/pause")).code == "store_unavailable"
    told = await until(bridge, job, lambda told: "waiting" in told)  # reading goes on
    assert told["waiting"]["code"] == "store_unavailable"
    other.execute("ROLLBACK")
    other.close()
    assert (await until(bridge, job))["counts"]["done"] == 3
    assert [(await item(bridge, job, number))["attempts"] for number in range(3)] == [1, 1, 1]


async def test_a_damaged_row_stops_no_worker(start: Start, samples: Samples) -> None:
    running = await start(job_workers=1)
    await running.ready()
    source = {"upload": await upload(running, samples.png)}
    running.fakes.engine.gate.clear()
    job = await submit(running, [source] * 5)
    await until(running, job, lambda told: told["counts"]["leased"] == 1)
    with running.app[STORE].write() as rows:
        rows.execute("UPDATE items SET parameters = '{bad' WHERE item = 1")
        rows.execute("UPDATE items SET source_name = x'ff' WHERE item = 2")
    running.fakes.engine.gate.set()
    counts = (await until(running, job))["counts"]
    assert (counts["done"], counts["failed"]) == (3, 2)
    await running.stop()
    assert verify(running.places.audit) == 5
    again = await start()  # and no start
    await again.ready()
    other = await submit(again, [{"upload": await upload(again, samples.png)}])
    assert (await until(again, other))["counts"]["done"] == 1


async def test_an_audit_that_fails_stops_no_worker(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fail(*_: object) -> None:
        calls.append(1)
        raise TypeError("not thought of")

    monkeypatch.setattr(AuditLog, "catch_up", fail)
    running = await start(job_workers=1)  # recovery calls it too
    await running.ready()
    job = await submit(running, [{"upload": await upload(running, samples.png)}] * 5)
    assert (await until(running, job))["counts"]["done"] == 5
    assert len(calls) > 5


async def test_what_nobody_thought_of_stops_no_worker(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = Queue.finish, [1] * 4

    def fail_first(*arguments: Any) -> bool:
        if failures:
            failures.pop()
            real(*arguments)
            raise ValueError("not thought of")
        return real(*arguments)

    monkeypatch.setattr(Queue, "finish", fail_first)
    running = await start(job_workers=1)
    await running.ready()
    job = await submit(running, [{"upload": await upload(running, samples.png)}] * 6)
    assert (await until(running, job))["counts"]["done"] == 6
    assert failures == []


async def test_a_recovery_that_fails_says_so_and_is_tried_again(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        def fail(_: object) -> None:
            raise ValueError("not thought of")

        broken.setattr("bridge.jobs.runner.STORE_PAUSE", 0.05)
        broken.setattr(Outputs, "recover", fail)
        running = await start()
        await running.ready()
        job = await submit(running, [{"upload": await upload(running, samples.png)}])
        waiting = await until(running, job, lambda told: "waiting" in told)
        assert waiting["waiting"]["code"] == "internal"
    assert (await until(running, job))["counts"]["done"] == 1


async def test_slow_work_and_waiting_for_memory_keep_their_leases(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.jobs.queue.LEASE_SECONDS", 1.0)
    running = await start(job_workers=2, job_megapixels=0.001)  # so the second waits for the first
    await running.ready()
    running.fakes.engine.gate.clear()
    job = await submit(running, [{"upload": await upload(running, samples.png)}] * 2)
    await until(running, job, lambda told: told["counts"]["leased"] == 2)
    leases = held(running)
    for _ in range(12):
        await asyncio.sleep(0.2)
        running.app[RUNNER].wake()
    assert held(running) == leases
    running.fakes.engine.gate.set()
    assert (await until(running, job))["counts"]["done"] == 2
    assert [(await item(running, job, number))["attempts"] for number in range(2)] == [1, 1]


async def test_a_worker_that_hangs_loses_its_lease_and_another_does_the_work(
    start: Start, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.jobs.queue.LEASE_SECONDS", 1.0)
    running = await start(job_workers=2)
    await running.ready()
    calls, answers = [1], threading.Event()
    real = running.fakes.detector.detect

    def hang_once(*arguments: Any, **more: Any) -> Any:
        if calls:
            calls.pop()
            answers.wait(20)
        return real(*arguments, **more)

    monkeypatch.setattr(running.fakes.detector, "detect", hang_once)
    try:
        job = await submit(running, [{"upload": await upload(running, samples.png)}])
        assert (await until(running, job))["counts"]["done"] == 1
        assert (await item(running, job))["attempts"] == 2
    finally:
        answers.set()
    assert "work stands still" in running.places.log_file.read_text()


def held(bridge: Bridge) -> list[str]:
    """The leases, in the order of their items."""
    with bridge.app[STORE].read() as rows:
        return [row[0] for row in rows.execute("SELECT lease_id FROM items ORDER BY job, item")]


async def test_stopping_gives_back_what_is_not_finished(start: Start, samples: Samples) -> None:
    first = await start()
    await first.ready()
    first.fakes.engine.gate.clear()
    job = await submit(first, [{"upload": await upload(first, samples.png)}] * 2)
    await until(first, job, lambda told: told["counts"]["leased"] == 2)
    runner = first.app[RUNNER]
    await asyncio.to_thread(runner.close, 0.0)
    told = (await first("GET", f"/v1/jobs/{job}")).json
    assert (told["counts"]["queued"], told["counts"]["leased"]) == (2, 0)
    assert (await item(first, job))["attempts"] == 0
    first.fakes.engine.gate.set()
    await first.stop()
    second = await start()
    await second.ready()
    assert (await until(second, job))["counts"]["done"] == 2


async def test_what_the_bridge_counts(bridge: Bridge, samples: Samples) -> None:
    job = await submit(
        bridge, [{"upload": await upload(bridge, data)} for data in (samples.png, b"no picture")]
    )
    await until(bridge, job)
    told = (await bridge("GET", "/metrics")).body.decode()
    for line in (
        'gpen_images_total{outcome="done"} 1.0',
        'gpen_images_total{outcome="format_unsupported"} 1.0',
        'gpen_queue_items{state="queued"} 0.0',
        "gpen_faces_total 1.0",
    ):
        assert line in told
    assert 'gpen_stage_seconds_count{stage="publish"}' in told
    size = Path((await item(bridge, job))["result"]["path"]).stat().st_size
    assert f"gpen_output_bytes {float(size)}" in told
    assert "gpen_disk_free_bytes" in told
