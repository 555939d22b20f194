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
WORST_PIXEL = 8 * LEVEL


def self_test(runner: Runner, reference: Runner | None) -> None:
    """Pass a made-up crop through a network, twice.

    Args:
        runner: the network on the device in question.
        reference: the same network on the CPU; None: `runner` is on the CPU itself.

    Raises:
        SelfTestFailed: the result has another shape or values that are not finite; or, on the CPU,
            the two passes are not equal; or, elsewhere, they differ from each other or from the
            reference by more than `LEVEL` in root mean square or `WORST_PIXEL` anywhere.
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
    _agree(first, second, "itself")
    return 0.0 if expected is None else _agree(first, expected, "the CPU's torch")


def face_like(side: int) -> Crops:
    """1 x side x side x 3 in [0, 1]: an oval with waves on it, so that every layer has something to do."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    oval = 1 / (1 + np.exp(12 * (np.hypot(x, 0.75 * y) - 0.6)))
    waves = 0.1 * np.sin(23 * x) * np.cos(17 * y)
    tint = np.array([0.75, 0.55, 0.45], np.float32)
    shade = (0.15 + oval + waves).astype(np.float32)
    picture: Crops = np.clip(shade[None, :, :, None] * tint, 0, 1)
    return picture


def _agree(result: Crops, expected: Crops, whom: str) -> float:
    error = np.abs(result - expected)
    root_mean_square, worst = float(np.sqrt(np.mean(np.square(error)))), float(error.max())
    # Negated, so that a NaN fails too.
    if not (root_mean_square <= LEVEL and worst <= WORST_PIXEL):
        raise SelfTestFailed(f"It differs from {whom} by {root_mean_square:.4f} (RMS), {worst:.4f} at most.")
    return worst
