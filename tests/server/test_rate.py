from __future__ import annotations

from bridge.server.rate import Rate


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_quarter_of_a_minute_at_once_then_as_time_passes() -> None:
    clock = Clock()
    rate = Rate(60, clock)
    assert [rate.take("a") for _ in range(16)] == [0] * 15 + [1]
    assert rate.take("b") == 0
    clock.now = 0.5
    assert rate.take("a") == 1
    clock.now = 1.0
    assert (rate.wait("a"), rate.wait("a"), rate.take("a"), rate.wait("a")) == (0, 0, 0, 1)


def test_what_is_left_over_does_not_pile_up() -> None:
    clock = Clock()
    rate = Rate(8, clock)
    assert [rate.take("a") for _ in range(3)] == [0, 0, 8]
    clock.now = 1e6
    assert [rate.take("a") for _ in range(3)] == [0, 0, 8]


def test_zero_does_not_count() -> None:
    rate = Rate(0, Clock())
    assert not any(rate.take("a") or rate.wait("a") for _ in range(1000))
