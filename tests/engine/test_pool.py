from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bridge.engine.pool import LOSSES, Pool
from bridge.engine.workers import Call, Done, Lost, Refused, Report, Seen, WorkerState
from bridge.errors import (
    Cancelled,
    CheckpointNotInstalled,
    EngineError,
    InvalidRequest,
    WorkersUnreachable,
    WorkerUnknown,
)
from tests.engine.fakes import halved, in_background, some_crops, wait_until

ONE, TWO = (WorkerState(f"w{n}", f"node{n}", f"host{n}", healthy=True) for n in (1, 2))


class FakeCluster:
    """Keeps calls until the test says what became of them."""

    def __init__(self) -> None:
        self.calls: dict[int, Call] = {}
        self.submitted: list[Call] = []
        self.cancelled: list[int] = []
        self.drained: list[tuple[str, bool]] = []
        self.closed = False

    def start(self, on_report: Callable[[Report], None]) -> None:
        self.tell = on_report

    def submit(self, call: Call) -> None:
        self.calls[call.call] = call
        self.submitted.append(call)

    def cancel(self, call: int) -> None:
        self.cancelled.append(call)
        self.calls.pop(call, None)

    def drain(self, node: str, draining: bool) -> None:
        self.drained.append((node, draining))

    def close(self) -> None:
        self.closed = True

    def see(self, *workers: WorkerState, problem: str = "") -> None:
        self.tell(Seen(workers, problem))

    def finish(self, worker: str | None = None) -> None:
        """Every call, or all of one worker's."""
        for number, call in list(self.calls.items()):
            if worker in (None, call.worker):
                del self.calls[number]
                self.tell(Done(number, halved(call.crop)))


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def pool(cluster: FakeCluster) -> Pool:
    pool = Pool(cluster, in_flight=2)
    cluster.see(ONE, TWO)
    return pool


def test_crops_come_back_in_their_order_whoever_restored_them(pool: Pool, cluster: FakeCluster) -> None:
    crops = some_crops(7)
    work = in_background(lambda: pool.restore("a", crops))
    wait_until(lambda: len(cluster.calls) == 4)  # two workers, two calls each
    while not work.done():
        for number in sorted(cluster.calls, reverse=True):
            cluster.tell(Done(number, halved(cluster.calls.pop(number).crop)))
    np.testing.assert_allclose(work.result(), halved(crops), atol=1e-6)
    assert {call.worker for call in cluster.submitted} == {"w1", "w2"}


def test_no_worker_ever_holds_more_than_its_share(pool: Pool, cluster: FakeCluster) -> None:
    work = in_background(lambda: pool.restore("a", some_crops(40)))
    while not work.done():
        assert all(count <= 2 for count in pool.at_work.values())
        cluster.finish()
    assert len(cluster.submitted) == 40


def test_who_is_waited_for_goes_first(pool: Pool, cluster: FakeCluster) -> None:
    batch = in_background(lambda: pool.restore("a", some_crops(8), urgent=False))
    wait_until(lambda: len(cluster.calls) == 4)
    urgent = in_background(lambda: pool.restore("b", some_crops(1)))
    wait_until(lambda: pool.waiting == 2)
    cluster.finish("w1")
    assert cluster.submitted[4].checkpoint == "b"
    while not (batch.done() and urgent.done()):
        cluster.finish()


@pytest.mark.parametrize(
    "loss",
    [
        lambda cluster: cluster.tell(Lost(next(n for n, c in cluster.calls.items() if c.worker == "w1"))),
        lambda cluster: cluster.see(replace(ONE, healthy=False, problem="silent"), TWO),
        lambda cluster: cluster.see(TWO),
    ],
    ids=["lost", "silent", "gone"],
)
def test_a_lost_worker_costs_another_try_elsewhere(
    pool: Pool, cluster: FakeCluster, loss: Callable[[FakeCluster], None]
) -> None:
    crops = some_crops(2)
    work = in_background(lambda: pool.restore("a", crops))
    wait_until(lambda: len(cluster.calls) == 2)
    loss(cluster)
    wait_until(lambda: len(cluster.submitted) == 3)
    while not work.done():
        cluster.finish()
    np.testing.assert_allclose(work.result(), halved(crops), atol=1e-6)


def test_an_answer_that_comes_late_counts_for_nothing(pool: Pool, cluster: FakeCluster) -> None:
    work = in_background(lambda: pool.restore("a", some_crops(2)))
    wait_until(lambda: len(cluster.calls) == 2)
    late = list(cluster.calls.values())
    cluster.see(problem="cut")
    assert sorted(cluster.cancelled) == [call.call for call in late]
    for call in late:
        cluster.tell(Done(call.call, np.full_like(call.crop, 9)))
    assert not work.done()
    cluster.see(ONE)
    while not work.done():
        cluster.finish()
    np.testing.assert_allclose(work.result(), halved(some_crops(2)), atol=1e-6)


def test_a_crop_that_kills_whoever_touches_it_is_given_up(pool: Pool, cluster: FakeCluster) -> None:
    work = in_background(lambda: pool.restore("a", some_crops(1)))
    for _ in range(LOSSES):
        wait_until(lambda: bool(cluster.calls))
        number, _ = cluster.calls.popitem()
        cluster.tell(Lost(number))
    with pytest.raises(EngineError, match="were lost") as failure:
        work.result()
    assert failure.value.retryable
    assert pool.at_work == {}


def test_without_workers_it_waits_and_then_says_so(cluster: FakeCluster) -> None:
    pool = Pool(cluster, patience=0.05)
    cluster.see(problem="No head answers.")
    assert isinstance(pool.problem, WorkersUnreachable)
    with pytest.raises(WorkersUnreachable, match="No head answers"):
        pool.restore("a", some_crops(1))
    cluster.see(replace(ONE, healthy=False, problem="It is starting."))
    assert pool.problem is not None
    assert "host1: It is starting." in pool.problem.detail
    cluster.see(ONE)
    assert pool.problem is None
    work = in_background(lambda: pool.restore("a", some_crops(1)))
    wait_until(lambda: bool(cluster.calls))
    cluster.finish()
    assert work.result() is not None
    assert len(cluster.submitted) == 1  # what gave up left nothing in the line


def test_patience_begins_when_the_last_worker_goes(cluster: FakeCluster) -> None:
    pool = Pool(cluster, patience=0.3)
    cluster.see(ONE)
    work = in_background(lambda: pool.restore("a", some_crops(1)))
    wait_until(lambda: bool(cluster.calls))
    cluster.see()
    cluster.see(TWO)
    cluster.finish()
    assert work.result() is not None


def test_an_error_of_the_network_keeps_its_name(pool: Pool, cluster: FakeCluster) -> None:
    work = in_background(lambda: pool.restore("a", some_crops(3)))
    wait_until(lambda: len(cluster.calls) == 3)
    cluster.tell(Refused(min(cluster.calls), "checkpoint_not_installed", "a is not there."))
    with pytest.raises(CheckpointNotInstalled, match="a is not there"):
        work.result()
    assert len(cluster.cancelled) == 2


@pytest.mark.parametrize("spoil", [lambda crop: crop * np.nan, lambda crop: crop[:, :1]])
def test_a_result_that_is_none_is_refused(
    pool: Pool, cluster: FakeCluster, spoil: Callable[[np.ndarray], np.ndarray]
) -> None:
    work = in_background(lambda: pool.restore("a", some_crops(1)))
    wait_until(lambda: bool(cluster.calls))
    number, call = cluster.calls.popitem()
    cluster.tell(Done(number, spoil(call.crop)))
    with pytest.raises(EngineError, match="not numbers"):
        work.result()


def test_cancelling_stops_the_calls_and_frees_their_places(pool: Pool, cluster: FakeCluster) -> None:
    cancelled = threading.Event()
    work = in_background(lambda: pool.restore("a", some_crops(9), cancelled=cancelled))
    wait_until(lambda: len(cluster.calls) == 4)
    cancelled.set()
    with pytest.raises(Cancelled):
        work.result(timeout=5)
    assert len(cluster.cancelled) == 4
    assert (pool.at_work, pool.waiting) == ({}, 0)
    with pytest.raises(Cancelled):
        pool.restore("a", some_crops(1), cancelled=cancelled)


def test_a_node_that_is_drained_gets_nothing_new(pool: Pool, cluster: FakeCluster) -> None:
    pool.drain("host1")
    pool.drain("node2", draining=False)
    assert cluster.drained == [("node1", True), ("node2", False)]
    with pytest.raises(WorkerUnknown):
        pool.drain("elsewhere")
    cluster.see(replace(ONE, draining=True), TWO)
    work = in_background(lambda: pool.restore("a", some_crops(5)))
    while not work.done():
        cluster.finish()
    assert {call.worker for call in cluster.submitted} == {"w2"}


def test_bad_crops_never_travel(pool: Pool, cluster: FakeCluster) -> None:
    with pytest.raises(InvalidRequest):
        pool.restore("a", some_crops(1).astype(np.float64))
    assert pool.restore("a", some_crops(0)).shape == (0, 16, 16, 3)
    assert cluster.submitted == []


def test_closing_fails_what_waits_and_refuses_more(pool: Pool, cluster: FakeCluster) -> None:
    work = in_background(lambda: pool.restore("a", some_crops(9)))
    wait_until(lambda: len(cluster.calls) == 4)
    pool.close(drain=False)
    with pytest.raises(EngineError, match="closing"):
        work.result()
    with pytest.raises(EngineError, match="closing"):
        pool.restore("a", some_crops(1))
    assert cluster.closed


def test_what_is_resident_is_what_some_worker_has_loaded(pool: Pool, cluster: FakeCluster) -> None:
    cluster.see(replace(ONE, checkpoints={"b": "torch"}), replace(TWO, checkpoints={"a": "torch"}))
    assert pool.resident() == ["a", "b"]


def test_ray_is_never_imported_on_a_desktop() -> None:
    """Nor by the bridge of a studio: only its driver and its nodes do."""
    look = (
        "import sys, bridge.cli, bridge.server.app, bridge.engine.pool, bridge.engine.ray;"
        "import bridge.engine.ray_node, bridge.engine.ray_worker;"
        "sys.exit('ray' in sys.modules or 'cryptography' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0  # noqa: S603 - our own interpreter
