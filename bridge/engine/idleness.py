"""What is due while nobody asks for anything: memory goes back, then the networks.

Pure: told the time, so that each rule is tested without waiting. Knows no networks and no device.
"""

from __future__ import annotations

from enum import Enum, auto


class Due(Enum):
    """What to do now."""

    tidy = auto()
    """Give back the memory that no network holds."""
    unload = auto()
    """Let go of the networks too."""


class Idleness:
    """One stretch without work.

    Args:
        began: when the last work ended, in seconds of the clock that `next` is told.
        tidy_after: seconds of idleness after which memory goes back.
        unload_after: seconds after which the networks go; None: never.
    """

    def __init__(self, began: float, *, tidy_after: float, unload_after: float | None) -> None:
        self._steps = [(began + tidy_after, Due.tidy)]
        if unload_after is not None:
            self._steps.append((began + unload_after, Due.unload))
        self._steps.sort(key=lambda step: step[0])
        self.tidied = False
        """Whether anything was given back in this stretch."""

    def next(self, now: float) -> Due | float | None:
        """What is due at `now`, each once; or the seconds until something is; or None: nothing any more."""
        if not self._steps:
            return None
        at, due = self._steps[0]
        if now < at:
            return at - now
        del self._steps[0]
        self.tidied = True
        return due
