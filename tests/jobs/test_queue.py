from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.errors import Cancelled, DeviceOutOfMemory, EngineError, ImageError, ItemNotDone, OutputError
from bridge.jobs.job import Lease
from bridge.jobs.leases import Promise
from bridge.jobs.queue import LEASE_SECONDS
from bridge.protocol.jobs import ItemStatus, RetryRequest
from bridge.reply import Reply
from tests.jobs.conftest import Died, Room


def test_items_are_leased_in_order_and_once(room: Room) -> None:
    job = room.submit(3)
    assert [room.leased().item for _ in range(3)] == [0, 1, 2]
    assert room.queue.lease() is None
    assert room.views.job(job).state == "running"


def test_interactive_goes_first(room: Room) -> None:
    room.submit(2)
    urgent = room.submit(1, priority="interactive")
    assert room.queue.lease(interactive_only=True).job == urgent  # type: ignore[union-attr]
    assert room.queue.lease(interactive_only=True) is None
    assert room.queue.lease() is not None


def test_a_night_batch_does_not_make_others_wait(room: Room) -> None:
    night = room.submit(40, by="night")
    for _ in range(5):
        lease = room.leased()
        room.clock += 3
        room.queue.fail(lease, ImageError("bad"), {})
    anna = room.submit(4, by="anna")
    order = []
    for _ in range(8):
        lease = room.leased()
        order.append(lease.job)
        room.clock += 3
        room.queue.fail(lease, ImageError("bad"), {})
    assert order.count(anna) == 4
    assert order.count(night) == 4
    assert {order[0], order[1]} == {anna, night}  # level: neither credit nor debt


def test_two_clients_have_half_of_the_workers_each(room: Room) -> None:
    night, anna = room.submit(40, by="night"), room.submit(40, by="anna")
    jobs = [room.leased().job for _ in range(6)]
    assert (jobs.count(night), jobs.count(anna)) == (3, 3)


def test_a_clients_own_jobs_stay_in_their_order(room: Room) -> None:
    first, second = room.submit(2), room.submit(1)
    assert [room.leased().job for _ in range(3)] == [first, first, second]


def test_a_lost_lease_changes_nothing(room: Room, reply: Reply) -> None:
    job = room.submit()
    lease = room.leased()
    promise = room.outputs.publish(lease, reply, {}, lambda: True)
    assert room.queue.finish(promise)
    assert not room.queue.finish(promise)
    assert room.queue.fail(lease, EngineError("late"), {}) is None
    assert not room.queue.release(lease)
    assert not room.queue.enter(lease, "decode")
    assert room.state(job) == "done"


def test_cancel_takes_the_lease_away_but_not_a_promise(room: Room, reply: Reply) -> None:
    job = room.submit(2)
    first, second = room.leased(), room.leased()
    promise = room.outputs.publish(first, reply, {}, lambda: True)
    room.batches.cancel(job)
    assert room.dropped == [second.lease_id]
    assert room.queue.finish(promise)
    assert (room.state(job, 0), room.state(job, 1)) == ("done", "cancelled")
    assert room.views.job(job).state == "cancelled"
    assert room.views.job(job).finished_at


def promised_in_a_cancelled_job(room: Room, reply: Reply) -> tuple[str, Lease]:
    """A job that was cancelled while its photo was being published; no file is there yet."""
    job = room.submit(2)
    lease = room.leased()
    room.queue.enter(lease, "publish")
    room.die_at = "promised"
    with pytest.raises(Died):
        room.publish(lease, reply)
    room.batches.cancel(job)
    assert (room.state(job), room.views.job(job).state) == ("leased", "running")
    return job, lease


def is_cancelled(room: Room, job: str) -> bool:
    told = room.views.job(job)
    return (
        told.state == "cancelled"
        and told.counts.cancelled == 2
        and told.finished_at is not None
        and room.views.item(job, 0).finished_at is not None
        and room.queue.lease() is None
    )


def test_a_publishing_that_fails_in_a_cancelled_job_is_cancelled(room: Room, reply: Reply) -> None:
    job, lease = promised_in_a_cancelled_job(room, reply)
    assert room.queue.fail(lease, OutputError("x"), {}) is None
    assert is_cancelled(room, job)
    room.audit.catch_up(room.store)
    room.batches.retry(job, RetryRequest(states=("cancelled",)), None)
    assert room.leased().item == 0


def test_a_photo_of_a_cancelled_job_that_is_given_back_is_cancelled(room: Room, reply: Reply) -> None:
    job, lease = promised_in_a_cancelled_job(room, reply)
    assert room.queue.release(lease)
    assert is_cancelled(room, job)


@pytest.mark.parametrize("stage", ["publish", None])
def test_a_death_while_a_cancelled_job_publishes_leaves_nothing_that_waits(
    room: Room, reply: Reply, stage: str | None
) -> None:
    job, _ = promised_in_a_cancelled_job(room, reply)
    with room.store.write() as rows:
        rows.execute("UPDATE items SET stage = ? WHERE item = 0", (stage,))
    alive = room.reborn()
    alive.outputs.recover()
    assert is_cancelled(alive, job)


def test_giving_back_tells_the_jobs_counts(room: Room) -> None:
    room.submit()
    lease, before = room.leased(), room.journal.newest()
    room.queue.release(lease)
    told = [json.loads(text) for _, text in room.journal.since(before, 10)]
    assert [event["type"] for event in told] == ["item", "job"]
    assert told[1]["state"]["counts"]["queued"] == 1


def test_what_may_heal_waits_on_the_monotonic_clock(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    job = room.submit()
    assert room.queue.fail(room.leased(), EngineError("x"), {}) == 5
    # An hour forwards or back on the wall: nothing is due sooner or later for it.
    monkeypatch.setattr("bridge.jobs.job.datetime", None)
    room.clock += 4.9
    assert room.queue.lease() is None
    monkeypatch.undo()
    room.clock += 0.2
    assert room.queue.fail(room.leased(), EngineError("x"), {}) == 20
    room.clock += 20.1
    assert room.queue.fail(room.leased(), EngineError("x"), {}) is None
    assert room.state(job) == "failed"
    room.batches.retry(job, RetryRequest(), None)
    assert room.leased().attempt == 1


def test_what_cannot_heal_fails_at_once_and_the_others_go_on(room: Room) -> None:
    job = room.submit(2)
    assert room.queue.fail(room.leased(), ImageError("x"), {}) is None
    assert room.state(job) == "failed"
    assert room.leased().item == 1


def test_out_of_memory_is_tried_again_alone(room: Room) -> None:
    room.submit()
    assert not room.leased().alone
    lease_of = room.queue
    room.batches.cancel(room.submit())
    room.clock += 1
    job = room.submit()
    lease = room.leased()
    assert lease.job == job
    lease_of.fail(lease, DeviceOutOfMemory("x"), {})
    room.clock += 6
    assert room.leased().alone


def test_leases_expire_by_the_clock_that_is_passed_in(room: Room) -> None:
    job = room.submit()
    lease = room.leased()
    room.queue.enter(lease, "decode")
    room.clock += 899
    assert room.queue.expire() == []
    room.clock += 2
    assert room.queue.expire() == [lease.lease_id]
    assert room.state(job) == "queued"


def test_whoever_gives_a_sign_of_life_keeps_its_lease(room: Room) -> None:
    room.submit(2)
    alive, silent = room.leased(), room.leased()
    room.clock += LEASE_SECONDS + 1
    assert room.queue.expire({alive.lease_id: 100}) == [silent.lease_id]
    room.clock += LEASE_SECONDS - 101
    assert room.queue.expire({alive.lease_id: LEASE_SECONDS - 1}) == []
    room.clock += 2
    assert room.queue.expire({alive.lease_id: LEASE_SECONDS + 1}) == [alive.lease_id]


def test_standing_still_is_a_try_and_no_crash(room: Room) -> None:
    job = room.submit()
    for attempt in (1, 2, 3):
        lease = room.leased()
        assert (lease.attempt, lease.crashes, lease.alone) == (attempt, 0, False)
        room.queue.enter(lease, "decode")
        room.clock += LEASE_SECONDS + 1
        assert room.queue.expire() == [lease.lease_id]
    failed = room.views.item(job, 0)
    assert failed.state == "failed"
    assert failed.error is not None
    assert failed.error.code == "item_stalled"
    assert room.views.job(job).state == "finished"


def test_what_is_promised_while_others_are_looked_for_is_kept(
    room: Room, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit()
    lease = room.leased()
    room.clock += LEASE_SECONDS + 1
    write, promises = room.store.write, list[Promise]()

    def promise_first() -> Any:
        monkeypatch.undo()
        promises.append(room.outputs.publish(lease, reply, {}, lambda: True))
        return write()

    monkeypatch.setattr(room.store, "write", promise_first)
    assert room.queue.expire() == []
    assert room.queue.finish(promises[0])
    assert room.state(job) == "done"


def test_a_kill_counts_only_in_a_stage_and_the_third_alone_fails(room: Room) -> None:
    job = room.submit()
    room.leased()
    alive = room.reborn()
    alive.outputs.recover()
    for crash in range(3):
        lease = alive.leased()
        assert lease.alone == (crash == 2)
        alive.queue.enter(lease, "restore")
        alive = alive.reborn()
        alive.outputs.recover()
    item = alive.views.item(job, 0)
    assert item.state == "failed"
    assert item.error is not None
    assert item.error.code == "crash_loop"
    assert alive.views.job(job).state == "finished"


def test_who_is_to_be_alone_comes_last(room: Room) -> None:
    room.submit(3)
    alive = room
    for _ in range(2):
        lease = alive.leased()
        alive.queue.enter(lease, "restore")
        assert lease.item == 0
        alive = alive.reborn()
        alive.outputs.recover()
    assert [alive.leased().item for _ in range(3)] == [1, 2, 0]


MOVES = ("lease", "fail", "heal", "finish", "cancel", "retry", "pause", "resume", "ack")


@given(st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 5)), max_size=30))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_counts_are_those_of_the_items_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, reply: Reply, moves: list[tuple[str, int]]
) -> None:
    room = Room(tmp_path_factory.mktemp("home"))
    job = room.submit(4)
    held = []
    for move, item in moves:
        item = min(item, room.views.job(job).counts.total - 1)
        if move == "lease" and (lease := room.queue.lease()):
            held.append(lease)
        elif move in ("fail", "heal") and held:
            room.queue.fail(held.pop(), ImageError("x") if move == "fail" else EngineError("x"), {})
        elif move == "finish" and held:
            with contextlib.suppress(Cancelled):
                room.publish(held.pop(), reply)
        elif move == "cancel":
            room.batches.cancel(job, item)
        elif move == "retry":
            room.batches.retry(job, RetryRequest(states=("failed", "cancelled")), None, item)
        elif move in ("pause", "resume"):
            getattr(room.batches, move)(job, item)
        elif move == "ack":
            with contextlib.suppress(ItemNotDone):
                room.batches.acknowledge(job, item)
        room.clock += 10
    items = room.views.items(job, limit=100).items
    counts = room.views.job(job).counts
    assert counts.total == len(items)
    for state in ItemStatus:
        assert getattr(counts, state) == sum(one.state == state for one in items), state
    assert counts.acked == sum(one.acked_at is not None for one in items)
    assert counts.paused == sum(one.paused and one.state == "queued" for one in items)
    assert (room.views.job(job).finished_at is None) == (counts.queued + counts.leased > 0)
    room.store.close()
