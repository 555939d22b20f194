"""What clients ask for while others, or they themselves, ask for something else."""

from __future__ import annotations

import pytest

from bridge.errors import ImageError
from bridge.protocol.enhancement import ParameterChanges
from bridge.protocol.jobs import RetryRequest
from bridge.reply import Reply
from tests.jobs.conftest import Room


def test_a_retry_or_a_redo_resumes_no_paused_job(room: Room, reply: Reply) -> None:
    job = room.submit(4)
    room.publish(room.leased(), reply)
    room.queue.fail(room.leased(), ImageError("x"), {})
    room.batches.pause(job)
    room.batches.retry(job, RetryRequest(), None, 1)
    with room.store.write() as rows:
        room.batches.redo(rows, job, 0, None, None, ParameterChanges())
    assert room.views.job(job).state == "paused"
    assert room.queue.lease() is None
    room.batches.resume(job)
    assert [room.leased().item for _ in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize("again", ["retry", "redo"])
def test_a_retry_or_a_redo_opens_what_has_ended(room: Room, reply: Reply, again: str) -> None:
    job = room.submit(2)
    room.publish(room.leased(), reply)
    last = room.leased()
    room.batches.pause(job)
    room.queue.fail(last, ImageError("x"), {})
    assert room.views.job(job).finished_at is not None
    if again == "retry":
        room.batches.retry(job, RetryRequest(), None, 1)
    else:
        with room.store.write() as rows:
            room.batches.redo(rows, job, 0, None, None, ParameterChanges())
    assert room.leased().item == (1 if again == "retry" else 2)
