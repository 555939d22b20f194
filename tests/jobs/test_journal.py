from __future__ import annotations

import json

import pytest

from tests.jobs.conftest import Room


def test_numbers_have_no_gap_and_survive_a_death(room: Room) -> None:
    room.submit(2)
    lease = room.leased()
    room.queue.enter(lease, "decode")
    with pytest.raises(RuntimeError), room.store.write() as rows:  # noqa: PT012 - the block is what is undone
        room.journal.stage_begun(rows, lease.job, lease.item, "restore")
        raise RuntimeError  # it did not happen, so it has no number
    before = room.journal.newest()
    alive = room.reborn()
    alive.outputs.recover()
    told = alive.journal.since(0, 1000)
    assert [seq for seq, _ in told] == list(range(1, alive.journal.newest() + 1))
    assert alive.journal.newest() > before
    assert [json.loads(text)["seq"] for _, text in told] == [seq for seq, _ in told]
    assert alive.journal.since(before, 1)[0][0] == before + 1


def test_what_is_no_longer_kept_is_said(room: Room) -> None:
    for _ in range(10):
        room.submit()
    newest = room.journal.newest()
    room.journal.prune(kept=4)
    assert room.journal.is_complete_since(newest - 4)
    assert not room.journal.is_complete_since(newest - 5)
    assert not room.journal.is_complete_since(newest + 1)  # of another store
    room.journal.prune(kept=0)
    assert room.journal.is_complete_since(newest)
    room.submit()
    assert room.journal.newest() == newest + 1  # never begins anew
