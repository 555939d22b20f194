from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.jobs.shares import Shares


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def served(shares: Shares, clock: Clock, client: str, seconds: float) -> None:
    shares.begin(client, "lease")
    clock.now += seconds
    shares.end("lease")


def test_who_was_served_least_goes_first() -> None:
    clock = Clock()
    shares = Shares(clock)
    assert shares.in_turn(["night", "anna"]) == ["night", "anna"]
    served(shares, clock, "night", 5)
    assert shares.in_turn(["night", "anna"]) == ["anna", "night"]
    served(shares, clock, "anna", 6)
    assert shares.in_turn(["night", "anna"]) == ["night", "anna"]


def test_what_runs_counts_already() -> None:
    clock = Clock()
    shares = Shares(clock)
    shares.in_turn(["night", "anna"])
    shares.begin("night", "1")
    assert shares.in_turn(["night", "anna"]) == ["anna", "night"]  # even before a second has passed
    clock.now += 9
    served(shares, clock, "anna", 8)
    shares.begin("anna", "2")
    clock.now += 1
    assert shares.in_turn(["night", "anna"]) == ["anna", "night"]  # 9 seconds against 18


def test_time_away_gives_no_credit_and_no_debt() -> None:
    clock = Clock()
    shares = Shares(clock)
    for _ in range(50):
        assert shares.in_turn(["night"]) == ["night"]
        served(shares, clock, "night", 10)
    assert shares.in_turn(["night", "anna"])[1] == "anna"  # level: she does not get 500 seconds first
    served(shares, clock, "night", 1)
    assert shares.in_turn(["night", "anna"]) == ["anna", "night"]
    served(shares, clock, "anna", 50)
    shares.in_turn(["night"])  # she is away
    assert shares.in_turn(["anna", "night"])[0] == "anna"  # and owes nothing when she is back


def test_unknown_leases_are_none_of_its_business() -> None:
    Shares(Clock()).end("gone")


@given(st.lists(st.floats(0.1, 30), min_size=30, max_size=80))
def test_nobody_is_ever_behind_by_more_than_one_piece_of_work(pieces: list[float]) -> None:
    clock = Clock()
    shares = Shares(clock)
    totals = dict.fromkeys(["a", "b", "c"], 0.0)
    for piece in pieces:
        client = shares.in_turn(totals)[0]
        served(shares, clock, client, piece)
        totals[client] += piece
        assert max(totals.values()) - min(totals.values()) <= max(pieces) + 1e-6
