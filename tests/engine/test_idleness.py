from __future__ import annotations

from bridge.engine.idleness import Due, Idleness


def test_memory_goes_first_then_the_networks_each_once() -> None:
    idleness = Idleness(100.0, tidy_after=1.0, unload_after=600.0)
    assert idleness.next(100.25) == 0.75
    assert not idleness.tidied
    assert idleness.next(101.0) is Due.tidy
    assert idleness.tidied
    assert idleness.next(101.0) == 599.0
    assert idleness.next(700.5) is Due.unload
    assert idleness.next(700.5) is None
    assert idleness.next(1e9) is None


def test_without_a_limit_networks_are_never_due() -> None:
    idleness = Idleness(0.0, tidy_after=1.0, unload_after=None)
    assert idleness.next(1e9) is Due.tidy
    assert idleness.next(2e9) is None


def test_after_a_long_sleep_everything_is_due_in_order() -> None:
    idleness = Idleness(0.0, tidy_after=1.0, unload_after=60.0)
    assert [idleness.next(1e6) for _ in range(3)] == [Due.tidy, Due.unload, None]


def test_a_limit_shorter_than_the_tidying_comes_first() -> None:
    idleness = Idleness(0.0, tidy_after=1.0, unload_after=0.5)
    assert [idleness.next(2.0) for _ in range(2)] == [Due.unload, Due.tidy]
