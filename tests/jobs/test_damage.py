"""Rows that no version of the bridge wrote: each fails by itself, and nobody waits behind it."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

import pytest

from bridge.errors import ImageError, StoreUnavailable
from bridge.jobs import chain
from bridge.jobs.audit import verify
from bridge.jobs.queue import LEASE_SECONDS
from bridge.reply import Reply
from tests.jobs.conftest import Room


def set_cell(
    room: Room, column: str, value: Any, where: str, table: str = "items", *, given: str = "?"
) -> None:
    """As a disk, a hand or a stranger would: past all that the bridge checks."""
    rows = sqlite3.connect(room.home / "jobs.sqlite")
    rows.execute("PRAGMA ignore_check_constraints = ON")
    rows.execute(f"UPDATE {table} SET {column} = {given} WHERE {where}", (value,))  # noqa: S608 - ours
    rows.commit()
    rows.close()


def audited(room: Room) -> list[str]:
    """Let the audit catch up: the outcomes of all that it tells, sorted."""
    room.audit.catch_up(room.store)
    told = chain.newest(room.audit.folder, 1000)
    assert verify(room.audit.folder) == len(told)
    return sorted(line["outcome"] for line in told)


UNREADABLE = [
    ("source", "{"),
    ("source", '{"path": "a", "upload": "b"}'),
    ("source", b"\xff\xfe"),
    ("source_name", b"\xff"),
    ("ref", b"\xff"),
    ("output", "[]"),
    ("output", '{"format": "exe"}'),
    ("parameters", '{"strength": 1e9}'),
    ("parameters", "null"),
    ("faces_given", "[1"),
    ("compose", "sideways"),
    ("attempts", "many"),
    ("error", "{"),
]
NOT_NEEDED = [
    ("seconds", "["),
    ("result", '{"name": 3}'),
    ("faces", "{"),
    ("queued_at", b"\xff"),
    ("stage", "?"),
]


@pytest.mark.parametrize(("column", "value"), UNREADABLE, ids=lambda value: str(value)[:24])
def test_a_damaged_item_fails_alone(room: Room, column: str, value: Any) -> None:
    job, later = room.submit(3), room.submit(1)
    set_cell(room, column, value, "item = 0 AND rowid = 1")
    leased = [room.leased() for _ in range(3)]
    assert [(lease.job, lease.item) for lease in leased] == [(job, 1), (job, 2), (later, 0)]
    assert room.queue.lease() is None
    with room.store.read() as rows:
        state, error = rows.execute("SELECT state, error FROM items WHERE rowid = 1").fetchone()
    assert state == "failed"
    assert '"item_damaged"' in error
    assert room.views.job(job).counts.failed == 1
    assert audited(room) == ["item_damaged"]


FLIPPED = [
    ("source", b'{"path": "\xff"}'),
    ("source_name", b"a\xff.png"),
    ("parameters", b'{"strength\xff": 50}'),
    ("error", b"\xff"),
]


@pytest.mark.parametrize(("column", "value"), FLIPPED, ids=lambda value: str(value)[:24])
def test_text_with_a_flipped_bit_fails_its_item_and_not_the_store(
    room: Room, reply: Reply, column: str, value: bytes
) -> None:
    job = room.submit(2)
    set_cell(room, column, value, "item = 0", given="CAST(? AS TEXT)")
    room.publish(room.leased(), reply)
    counts = room.views.job(job).counts
    assert (counts.done, counts.failed) == (1, 1)
    assert audited(room) == ["done", "item_damaged"]


def test_a_batch_whose_date_is_damaged_fails_without_holding_up_another(room: Room) -> None:
    damaged, healthy = room.submit(1), room.submit(1)
    set_cell(room, "created_at", b"\xff", "seq = 1", "jobs")
    assert room.leased().job == healthy
    assert room.state(damaged, 0) == "failed"


@pytest.mark.parametrize(("column", "value"), NOT_NEEDED, ids=lambda value: str(value)[:24])
def test_damage_that_the_work_does_not_need_costs_nothing(
    room: Room, reply: Reply, column: str, value: Any
) -> None:
    job = room.submit(2)
    set_cell(room, column, value, "item = 0")
    for _ in range(2):
        room.publish(room.leased(), reply)
    assert room.views.job(job).counts.done == 2
    assert audited(room) == ["done", "done"]


AUDITED = [
    ("source_name", b"\xff", "items"),
    ("preset", b"\xff", "items"),
    ("parameters", "{bad", "items"),
    ("parameters", b"\xff", "items"),
    ("parameters", "[" * 5000, "items"),
    ("seconds", "[", "items"),
    ("attempts", b"\xff", "items"),
    ("finished_at", b"\xff", "items"),
    ("error", "{", "items"),
    ("error", "3", "items"),
    ("result", "{", "items"),
    ("result", "[3]", "items"),
    ("result", b"\xff", "items"),
    ("faces", "{", "items"),
    ("faces", '[3, {"checkpoint": 3}, {"checkpoint": []}, {"checkpoint": "a"}]', "items"),
    ("client", b"\xff", "jobs"),
    ("client_id", b"\xff", "jobs"),
]


@pytest.mark.parametrize(("column", "value", "table"), AUDITED, ids=lambda value: str(value)[:24])
def test_a_damaged_cell_costs_the_audit_its_own_value_and_no_line(
    room: Room, reply: Reply, column: str, value: Any, table: str
) -> None:
    job = room.submit(3)
    room.publish(room.leased(), reply)
    room.queue.fail(room.leased(), ImageError("x"), {})
    room.batches.cancel(job)
    set_cell(room, column, value, "1 = 1", table)
    assert audited(room) == ["cancelled", "done", "failed" if column == "error" else "image_unreadable"]
    room.batches.cancel(room.submit(1))
    assert len(audited(room)) == 4  # and those that follow have theirs


def test_the_rest_of_its_batch_is_done_and_the_batch_comes_to_an_end(room: Room, reply: Reply) -> None:
    job = room.submit(2)
    set_cell(room, "source", "{", "item = 0")
    room.publish(room.leased(), reply)
    told = room.views.job(job)
    assert (told.state, told.counts.done, told.counts.failed) == ("finished", 1, 1)
    failed = room.views.item(job, 0)
    assert failed.error is not None
    assert failed.error.code == "item_damaged"
    assert [item.state for item in room.views.items(job, limit=10).items] == ["failed", "done"]


def test_what_stands_still_and_cannot_be_read_holds_up_nobody(room: Room) -> None:
    job = room.submit(2)
    held = room.leased()
    set_cell(room, "attempts", "many", "item = 0")
    room.clock += LEASE_SECONDS + 1
    assert room.queue.expire() == [held.lease_id]
    assert room.views.job(job).counts.failed == 1
    assert room.leased().item == 1


def test_only_damaged_items_leave_an_empty_queue(room: Room) -> None:
    job = room.submit(3)
    set_cell(room, "source", "{", "1 = 1")
    assert room.queue.lease() is None
    assert room.views.job(job).state == "finished"


@pytest.mark.parametrize(("column", "value"), [("parameters", "{"), ("output", "["), ("preset", b"\xff")])
def test_a_damaged_batch_is_done_all_the_same_and_holds_up_no_other(
    room: Room, reply: Reply, column: str, value: Any
) -> None:
    damaged, healthy = room.submit(1), room.submit(1)
    set_cell(room, column, value, "seq = 1", "jobs")
    for job in (damaged, healthy):
        lease = room.leased()
        assert lease.job == job
        room.publish(lease, reply)
    assert room.queue.lease() is None
    assert room.views.job(healthy).state == "finished"
    listed = room.views.jobs(after=None, limit=10, state=None, made_by=None)
    assert ([job.job for job in listed.jobs], listed.unreadable) == ([healthy], (damaged,))
    with pytest.raises(StoreUnavailable, match="damaged"):
        room.views.job(damaged)


@pytest.mark.parametrize(
    ("column", "value"),
    [("promise", "{"), ("promise", "[]"), ("source", "{"), ("output", "3"), ("error", "{")],
)
def test_what_a_dead_boot_held_and_cannot_be_read_holds_up_no_start(
    room: Room, reply: Reply, column: str, value: str
) -> None:
    job = room.submit(2)
    lease = room.leased()
    room.outputs.publish(lease, reply, {}, lambda: True)
    set_cell(room, column, value, "item = 0")
    next_boot = room.reborn()
    next_boot.outputs.recover()
    assert next_boot.state(job, 0) == "failed"  # and not queued: its file may lie there already
    assert next_boot.leased().item == 1
    next_boot.outputs.recover()  # nothing is left of it
    assert next_boot.views.job(job).counts.failed == 1


ELSEWHERE = ["../../stolen.png", "/etc/stolen.png", "a/../../stolen.png", "a\0.png", "a//b.png", ""]


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_promise_that_leads_elsewhere_is_not_followed(room: Room, reply: Reply, name: str) -> None:
    job = room.submit(1)
    room.outputs.publish(room.leased(), reply, {}, lambda: True)
    with room.store.read() as rows:
        promise = json.loads(rows.execute("SELECT promise FROM items").fetchone()[0])
    promise["result"]["name"] = name
    set_cell(room, "promise", json.dumps(promise), "item = 0")
    next_boot = room.reborn()
    next_boot.outputs.recover()
    assert next_boot.state(job, 0) == "failed"


@pytest.mark.parametrize("name", ["a\0b", "../b"])
def test_a_lease_that_names_no_file_aside_holds_up_no_start(room: Room, reply: Reply, name: str) -> None:
    job = room.submit(1)
    room.outputs.publish(room.leased(), reply, {}, lambda: True)
    set_cell(room, "lease_id", name, "item = 0")
    next_boot = room.reborn()
    next_boot.outputs.recover()
    assert next_boot.state(job, 0) == "failed"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_result_that_leads_elsewhere_is_named_and_never_opened(room: Room, name: str) -> None:
    with pytest.raises(StoreUnavailable, match="damaged"):
        room.outputs.path_of(name)


def test_a_store_that_is_away_fails_no_item(room: Room) -> None:
    job = room.submit(1)
    blocker = sqlite3.connect(room.home / "jobs.sqlite", isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    room.store._writer.execute("PRAGMA busy_timeout = 10")
    with pytest.raises(StoreUnavailable):
        room.queue.lease()
    blocker.execute("ROLLBACK")
    blocker.close()
    assert room.leased().job == job
