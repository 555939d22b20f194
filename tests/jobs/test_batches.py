"""What clients ask for while others, or they themselves, ask for something else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from bridge.errors import IdempotencyConflict, ImageError
from bridge.jobs.batches import Batches, Submission
from bridge.presets import Parameters
from bridge.protocol.enhancement import ParameterChanges
from bridge.protocol.jobs import JobRequest, RetryRequest
from bridge.reply import Reply
from tests.jobs.conftest import Room


def keyed(name: str = "") -> Submission:
    asked = JobRequest.parse({"name": name, "items": [{"ref": "a", "source": {"path": "a.png"}}]})
    return Submission(asked, "owner", Parameters(), ["a.png"], "night-batch-1")


def test_equal_submissions_at_the_same_moment_make_one_job(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batches, "find", lambda *_: None)  # each looked before any had stored
    with ThreadPoolExecutor(4) as clients:
        told = list(clients.map(lambda _: room.batches.submit(keyed()), range(8)))
    assert len({state.job for state in told}) == 1
    with pytest.raises(IdempotencyConflict):
        room.batches.submit(keyed("another"))
    assert len(room.views.jobs(after=None, limit=10, state=None, made_by=None).jobs) == 1


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
