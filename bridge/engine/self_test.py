"""Does this network compute on this device what it should?

Owns the probe and the tolerances. Half-precision and driver faults of this family show as flat or
foreign faces without any error, so nothing is served before one pass was compared.
"""

from __future__ import annotations

import numpy as np

from bridge.engine.runner import Crops, Runner
from bridge.errors import EngineError, SelfTestFailed

LEVEL = 1 / 255
"""One step of an 8-bit picture: what two devices may differ by (promise 6)."""
SHARE = 0.02
"""Of what the network changes (root mean square): what may be wrong about it. The answer of a network
that gives a residual is near its input, so a level would let pass one that does nothing."""
LEAST = 1e-5
"""What rounding may do, however little the network changes."""
WORST_PIXEL = 8
"""How many times that a single value may be off."""
VERSION = 2
"""Of the rules here: what passed under others has to pass again."""


def self_test(runner: Runner, reference: Runner | None) -> None:
    """Pass a made-up crop through a network, twice.

    Args:
        runner: the network on the device in question.
        reference: the same network on the CPU; None: `runner` is on the CPU itself.

    Raises:
        SelfTestFailed: the result has another shape or values that are not finite; or, on the CPU,
            the two passes are not equal; or, elsewhere, they differ from each other or from the
            reference by more than `LEVEL` in root mean square, by more than `SHARE` of what the
            network changes, or anywhere by `WORST_PIXEL` times that.
    """
    expected = None if reference is None else reference.run(face_like(runner.side))
    examine(runner, expected, exact=reference is None)


def examine(runner: Runner, expected: Crops | None, *, exact: bool) -> float:
    """Pass `face_like` through a network, twice.

    Args:
        expected: what it should give; None: that is not known.
        exact: two passes must give the same bits.

    Returns:
        The largest difference from `expected`, of crops in [0, 1].

    Raises:
        SelfTestFailed: see `self_test`.
    """
    probe = face_like(runner.side)
    try:
        first, second = runner.run(probe), runner.run(probe)
    except EngineError as error:
        raise SelfTestFailed(error.detail) from error
    if not np.isfinite(first).all():
        raise SelfTestFailed("It gave values that are not numbers.")
    if exact and not np.array_equal(first, second):
        raise SelfTestFailed("It gave two results for one input.")
    allowed = _allowed((first if expected is None else expected) - probe)
    _agree(first, second, allowed, "itself")
    return 0.0 if expected is None else _agree(first, expected, allowed, "the CPU's torch")


def face_like(side: int) -> Crops:
    """1 x side x side x 3 in [0, 1]: an oval with waves on it, so that every layer has something to do."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    oval = 1 / (1 + np.exp(12 * (np.hypot(x, 0.75 * y) - 0.6)))
    waves = 0.1 * np.sin(23 * x) * np.cos(17 * y)
    tint = np.array([0.75, 0.55, 0.45], np.float32)
    shade = (0.15 + oval + waves).astype(np.float32)
    picture: Crops = np.clip(shade[None, :, :, None] * tint, 0, 1)
    return picture


def _allowed(change: Crops) -> float:
    """The root mean square that a difference may have, from what the network should change."""
    return max(LEAST, min(LEVEL, SHARE * _root_mean_square(change)))


def _root_mean_square(values: Crops) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _agree(result: Crops, expected: Crops, allowed: float, whom: str) -> float:
    error = np.abs(result - expected)
    typical, worst = _root_mean_square(error), float(error.max())
    # Negated, so that a NaN fails too.
    if not (typical <= allowed and worst <= WORST_PIXEL * allowed):
        raise SelfTestFailed(
            f"It differs from {whom} by {typical:.2g} (RMS), {worst:.2g} at most; {allowed:.2g} is allowed."
        )
    return worst
