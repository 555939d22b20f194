from __future__ import annotations

import pytest

from bridge.errors import EngineError, ImageError
from bridge.jobs.job import SETTLED, TRANSITIONS, Control, Move, after_crash, job_status, pause_before_next
from bridge.protocol.jobs import Counts, ItemStatus, JobStatus


def test_done_is_left_by_no_move() -> None:
    assert all(ItemStatus.done not in sources for sources, _ in TRANSITIONS.values())


def test_only_a_lease_leads_to_leased_and_only_a_worker_to_done() -> None:
    leading = {
        target: {move for move, (_, to) in TRANSITIONS.items() if to is target} for target in ItemStatus
    }
    assert leading[ItemStatus.leased] == {Move.lease}
    assert leading[ItemStatus.done] == {Move.finish}
    assert TRANSITIONS[Move.finish][0] == {ItemStatus.leased}


def test_every_state_can_be_left_or_is_settled() -> None:
    left = set().union(*(sources for sources, _ in TRANSITIONS.values()))
    assert set(ItemStatus) - left <= SETTLED


@pytest.mark.parametrize(
    ("control", "counts", "state"),
    [
        ("open", {"queued": 3}, "queued"),
        ("open", {"queued": 2, "leased": 1}, "running"),
        ("open", {"queued": 2, "done": 1}, "running"),
        ("paused", {"queued": 2, "leased": 1}, "paused"),
        ("open", {"queued": 2, "paused": 2, "done": 1}, "paused"),
        ("paused", {"done": 3}, "finished"),
        ("open", {"done": 1, "failed": 1, "cancelled": 1}, "finished"),
        ("cancelled", {"done": 1, "cancelled": 2}, "cancelled"),
        ("cancelled", {"done": 3}, "finished"),
    ],
)
def test_a_jobs_state_is_derived(control: str, counts: dict[str, int], state: str) -> None:
    assert job_status(Control(control), Counts(total=3, **counts)) is JobStatus(state)


def test_three_tries_with_growing_pauses_for_what_may_heal() -> None:
    error = EngineError("x")
    assert [pause_before_next(error, attempt, 5) for attempt in (1, 2, 3)] == [5, 20, None]
    assert pause_before_next(ImageError("x"), 1, 5) is None


def test_only_a_third_crash_alone_is_a_crash_loop() -> None:
    assert after_crash(0, was_alone=False) is None
    assert after_crash(2, was_alone=False) is None
    error = after_crash(2, was_alone=True)
    assert error is not None
    assert error.code == "crash_loop"
