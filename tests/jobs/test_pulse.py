from __future__ import annotations

import pytest

from bridge.jobs.pulse import Pulse


def test_each_look_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 100.0
    monkeypatch.setattr("time.monotonic", lambda: moment)
    pulse = Pulse()
    moment = 130.0
    assert pulse.silence == 30
    pulse.set()  # a cancel is none
    assert pulse.silence == 30
    assert pulse.is_set()
    assert pulse.silence == 0
