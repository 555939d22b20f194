from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.engine.batcher import PATIENCE, RECOVERY, Batch, Batcher, Request


def request(checkpoint: str = "a", count: int = 1, urgent: bool = True, arrived: float = 0.0) -> Request:
    return Request(checkpoint, count, urgent, arrived)


def batcher(window: float = 0.0, **limits: int) -> Batcher[Request]:
    made: Batcher[Request] = Batcher(window)
    for checkpoint, limit in limits.items():
        made.set_limit(checkpoint, limit)
    return made


def run(queue: Batcher[Request], now: float = 0.0) -> Batch[Request]:
    step = queue.next(now)
    assert isinstance(step, Batch)
    return step


def test_nothing_to_do_is_told_as_none() -> None:
    assert batcher().next(0.0) is None


def test_a_pass_holds_one_crop_until_the_network_told_its_limit() -> None:
    queue = batcher()
    queue.add(request(count=3))
    assert len(run(queue).seats) == 1


def test_crops_of_several_requests_share_a_pass() -> None:
    queue = batcher(a=8)
    first, second = request(count=3), request(count=2)
    queue.add(first)
    queue.add(second)
    assert run(queue).seats == ((first, 0), (first, 1), (first, 2), (second, 0), (second, 1))
    assert queue.next(0.0) is None


def test_networks_are_never_mixed() -> None:
    queue = batcher(a=8, b=8)
    for index, checkpoint in enumerate("abab"):
        queue.add(request(checkpoint, arrived=index))
    assert [run(queue, 9).checkpoint, run(queue, 9).checkpoint] == ["a", "b"]
    assert len(queue) == 0


def test_urgent_work_passes_batch_work() -> None:
    queue = batcher()
    later, sooner = request(urgent=False, arrived=0.0), request(urgent=True, arrived=1.0)
    queue.add(later)
    queue.add(sooner)
    assert [next(iter(run(queue, 1.0).requests)) for _ in range(2)] == [sooner, later]


def test_batch_work_is_served_in_time_under_a_stream_of_urgent_work() -> None:
    queue = batcher()
    patient = request(urgent=False)
    queue.add(patient)
    queue.add(request())
    now = 0.0
    while patient not in (served := list(run(queue, now).requests)):
        assert served
        now += 0.5
        queue.add(request(arrived=now))
        queue.add(request(arrived=now))  # more than is ever served
        assert now < 3 * PATIENCE
    assert now >= PATIENCE


def test_a_group_photo_shares_the_device_with_a_portrait() -> None:
    queue = batcher()
    group, portrait = request(count=30), request(count=1, arrived=1.0)
    queue.add(group)
    run(queue, now=1.0)
    queue.add(portrait)
    order = [next(iter(run(queue, now=2.0 + turn).requests)) for turn in range(3)]
    assert portrait in order


def test_a_pass_that_is_not_full_waits_for_company_until_the_window_closes() -> None:
    queue = batcher(window=0.010, a=4)
    queue.add(request(arrived=5.0))
    wait = queue.next(5.004)
    assert isinstance(wait, float)
    assert abs(wait - 0.006) < 1e-9
    queue.add(request(arrived=5.005))
    assert len(run(queue, 5.010).seats) == 2


def test_a_full_pass_does_not_wait() -> None:
    queue = batcher(window=0.010, a=2)
    queue.add(request(count=2, arrived=5.0))
    assert len(run(queue, 5.0).seats) == 2


def test_a_removed_request_is_gone() -> None:
    queue = batcher()
    gone, kept = request(count=3), request(arrived=1.0)
    queue.add(gone)
    queue.add(kept)
    run(queue)
    queue.remove(gone)
    queue.remove(gone)
    assert list(run(queue, 2.0).requests) == [kept]
    assert queue.next(2.0) is None


def test_after_a_failed_pass_the_same_crops_come_again_in_smaller_passes() -> None:
    queue = batcher(a=4)
    one, two = request(count=3), request(count=1)
    queue.add(one)
    queue.add(two)
    batch = run(queue)
    assert queue.halve(batch)
    queue.put_back(batch)
    again = [run(queue), run(queue)]
    assert sorted(len(part.seats) for part in again) == [2, 2]
    assert {seat for part in again for seat in part.seats} == set(batch.seats)


def test_a_pass_of_one_cannot_be_halved() -> None:
    queue = batcher(a=4)
    queue.add(request())
    assert not queue.halve(run(queue))


def test_a_halved_limit_recovers_after_many_good_passes_but_not_beyond_the_first() -> None:
    queue = batcher(a=4)
    queue.add(request(count=4))
    batch = run(queue)
    queue.halve(batch)
    queue.halve(Batch(batch.seats[:2]))
    sizes = []
    for _ in range(3):
        for _ in range(RECOVERY):
            queue.went_well(batch)
        queue.add(request(count=9))
        sizes.append(len(run(queue).seats))
        queue.clear()
    assert sizes == [2, 4, 4]


def test_clearing_tells_what_was_waiting() -> None:
    queue = batcher()
    waiting = request(count=2)
    queue.add(waiting)
    queue.add(request(count=0))
    assert queue.clear() == [waiting]
    assert queue.next(0.0) is None


@given(
    arrivals=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans()), max_size=12),
    limit=st.integers(1, 5),
    failures=st.sets(st.integers(0, 20)),
)
def test_every_crop_is_served_exactly_once_whatever_happens(
    arrivals: list[tuple[str, int, bool]], limit: int, failures: set[int]
) -> None:
    queue = batcher(a=limit, b=limit, c=limit)
    requests = [request(name, count, urgent, float(i)) for i, (name, count, urgent) in enumerate(arrivals)]
    for waiting in requests:
        queue.add(waiting)
    served: list[tuple[Request, int]] = []
    turn = 0
    while (step := queue.next(100.0 + turn)) is not None:
        assert isinstance(step, Batch)
        assert 1 <= len(step.seats) <= limit
        assert {seat[0].checkpoint for seat in step.seats} == {step.checkpoint}
        if turn in failures:
            queue.halve(step)
            queue.put_back(step)
        else:
            queue.went_well(step)
            served += step.seats
        turn += 1
    assert len(served) == len(set(served)) == sum(waiting.count for waiting in requests)
