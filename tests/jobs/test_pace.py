from __future__ import annotations

import random

from bridge.jobs.pace import Pace


def test_nothing_is_said_before_enough_was_seen() -> None:
    pace = Pace()
    assert pace.eta(10) is None
    pace.settled(0)
    pace.settled(2)
    assert pace.eta(10) is None
    pace.settled(4)
    eta = pace.eta(10)
    assert eta is not None
    assert (eta.low, eta.likely, eta.high) == (20, 20, 20)


def test_the_range_holds_four_times_out_of_five() -> None:
    rng = random.Random(3)  # noqa: S311 - chance, not secrets
    held = 0
    for _ in range(400):
        pace, moment = Pace(), 0.0
        for _ in range(20):
            moment += rng.uniform(1, 5)
            pace.settled(moment)
        truth = sum(rng.uniform(1, 5) for _ in range(40))
        eta = pace.eta(40)
        assert eta is not None
        held += eta.low <= truth <= eta.high
    assert 0.72 <= held / 400 <= 0.9


def test_a_pause_is_no_work() -> None:
    pace = Pace()
    for moment in (0, 2, 4, 6):
        pace.settled(moment)
    pace.settled(3600)
    pace.settled(3602)
    eta = pace.eta(1)
    assert eta is not None
    assert eta.likely == 2
