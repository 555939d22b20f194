from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bridge.engine.runner import Crops
from bridge.engine.self_test import LEVEL, face_like, self_test
from bridge.errors import EngineError, SelfTestFailed


class FakeRunner:
    """Makes the input lighter by `change`, plus whatever `errors` says for each pass in turn."""

    side = 32
    bytes = 0

    def __init__(self, *errors: float | Callable[[Crops], Crops], change: float = 0.25) -> None:
        self._errors = list(errors)
        self._change = np.float32(change)

    def run(self, crops: Crops) -> Crops:
        error = self._errors.pop(0)
        lighter = crops + self._change
        return error(lighter) if callable(error) else lighter + np.float32(error)


def spot(crops: Crops) -> Crops:
    spotted = crops.copy()
    spotted[0, 0, 0, 0] += 10 * LEVEL
    return spotted


def raises(crops: Crops) -> Crops:
    raise EngineError("The network gave another shape.")


@pytest.mark.parametrize("reference", [None, FakeRunner(0)])
def test_a_sound_network_passes(reference: FakeRunner | None) -> None:
    self_test(FakeRunner(0, 0), reference)


def test_a_gpu_may_round_differently() -> None:
    self_test(FakeRunner(0.5 * LEVEL, 0), FakeRunner(-0.4 * LEVEL))


@pytest.mark.parametrize(
    ("runner", "reference", "complaint"),
    [
        (FakeRunner(0, 1e-6), None, "two results"),
        (FakeRunner(np.nan, np.nan), None, "not numbers"),
        (FakeRunner(np.inf, np.inf), FakeRunner(0), "not numbers"),
        (FakeRunner(raises), None, "another shape"),
        (FakeRunner(0, 2 * LEVEL), FakeRunner(0), "differs from itself"),
        (FakeRunner(0, np.nan), FakeRunner(0), "differs from itself"),
        (FakeRunner(2 * LEVEL, 2 * LEVEL), FakeRunner(0), "differs from the CPU"),
        (FakeRunner(spot, spot), FakeRunner(0), "differs from the CPU"),
        (FakeRunner(np.zeros_like, np.zeros_like), FakeRunner(0), "differs from the CPU"),
    ],
)
def test_a_broken_network_fails(runner: FakeRunner, reference: FakeRunner | None, complaint: str) -> None:
    with pytest.raises(SelfTestFailed, match=complaint):
        self_test(runner, reference)


def test_the_probe_is_a_picture_with_something_in_it() -> None:
    probe = face_like(64)
    assert probe.shape == (1, 64, 64, 3)
    assert probe.dtype == np.float32
    assert probe.min() >= 0
    assert probe.max() <= 1
    assert probe.std() > 0.1


def nothing(crops: Crops) -> Crops:
    """What a network gives whose convolutions all came out as 0: its input."""
    return crops - np.float32(0.002)


def test_a_network_that_changes_little_is_measured_by_that() -> None:
    """One that does nothing is half a level from one that changes half a level, and wrong."""
    with pytest.raises(SelfTestFailed, match="differs from the CPU"):
        self_test(FakeRunner(nothing, nothing, change=0.002), FakeRunner(0, change=0.002))
    self_test(FakeRunner(2e-5, 0, change=0.002), FakeRunner(0, change=0.002))


def test_rounding_is_no_fault_of_a_network_that_changes_nothing() -> None:
    self_test(FakeRunner(5e-6, 0, change=0.0), FakeRunner(0, change=0.0))
