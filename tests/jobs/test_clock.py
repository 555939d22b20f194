"""The wall clock jumps by an hour: nothing that is decided depends on it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from bridge.errors import DeviceOutOfMemory
from bridge.jobs import job
from bridge.jobs.queue import LEASE_SECONDS
from bridge.reply import Reply
from tests.jobs.conftest import Room


@pytest.mark.parametrize("hours", [1, -1])
def test_a_jump_of_an_hour(room: Room, reply: Reply, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    made = room.submit(3)
    held, tried = room.leased(), room.leased()

    class Jumped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(UTC) + timedelta(hours=hours)

    monkeypatch.setattr(job, "datetime", Jumped)
    assert room.queue.fail(tried, DeviceOutOfMemory("too large"), {}) == room.first_pause
    assert room.queue.expire() == []
    third = room.leased()
    assert third.item == 2  # item 1 waits for its second try, whatever the wall says
    room.publish(held, reply)
    room.publish(third, reply)
    assert room.queue.lease() is None
    room.clock += room.first_pause
    again = room.leased()
    assert (again.item, again.attempt) == (1, 2)
    room.clock += LEASE_SECONDS + 1
    assert room.queue.expire() == [again.lease_id]
    room.publish(room.leased(), reply)
    assert [room.state(made, item) for item in range(3)] == ["done"] * 3

    room.audit.catch_up(room.store)
    told = [seq for seq, _ in room.journal.since(0, 1000)]
    assert all(after == before + 1 for before, after in itertools.pairwise(told))
    states = [body for _, body in room.journal.since(0, 1000) if '"state":"done"' in body]
    assert states
    with room.store.read() as rows:
        assert rows.execute("SELECT count(*) FROM items WHERE audited = 0").fetchone()[0] == 0
