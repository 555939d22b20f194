from __future__ import annotations

import threading
import time

import pytest

from bridge.errors import Cancelled
from bridge.jobs.budget import Budget

NEVER = threading.Event()


def test_never_more_than_the_budget_and_large_ones_get_their_turn() -> None:
    budget, lock = Budget(100), threading.Lock()
    held, most, order = 0.0, 0.0, []

    def work(share: float) -> None:
        nonlocal held, most
        with budget.take(share, alone=False, cancelled=NEVER):
            with lock:
                held += min(share, 100)
                most = max(most, held)
                order.append(share)
            time.sleep(0.01)
            with lock:
                held -= min(share, 100)

    threads = [threading.Thread(target=work, args=(share,)) for share in (60, 30, 500, 10, 20, 60, 60)]
    for thread in threads:
        thread.start()
        time.sleep(0.002)
    for thread in threads:
        thread.join()
    assert most <= 100
    assert order.index(500) <= 2  # small ones that came later did not pass it


def test_alone_means_alone_and_waiting_can_be_cancelled() -> None:
    budget, cancelled = Budget(100), threading.Event()
    with budget.take(1, alone=True, cancelled=NEVER):
        cancelled.set()
        with pytest.raises(Cancelled), budget.take(1, alone=False, cancelled=cancelled):
            raise AssertionError
    with budget.take(100, alone=False, cancelled=NEVER):
        pass
