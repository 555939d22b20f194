"""What was found when engines were tried, and where that is kept: a file that people may read.

Knows no networks. The file is written whole or not at all; one that cannot be read is as good as none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bridge.atomic import private_folder, write_file
from bridge.errors import OutputError

MARGIN = 0.9
"""Part of torch's time that another engine must stay under, to be worth another set of numbers."""
FIRST = "torch"
UNFINISHED = "The bridge ended while it was tried; `gpen-bridge bench` tries it again."

Conditions = Mapping[str, Any]
"""All that a result depends on: device, driver, versions, the checkpoint's bytes."""


@dataclass(frozen=True)
class Trial:
    """One engine with one checkpoint.

    Attributes:
        engine: its name.
        seconds: of the fastest pass over one crop; None: it was not timed.
        difference: largest, from torch in float32 on the CPU, of crops in [0, 1]; None: not compared.
        problem: why it may not serve; None: it may.
    """

    engine: str
    seconds: float | None = None
    difference: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Record:
    """The trials of one checkpoint under the same conditions."""

    conditions: Conditions
    trials: tuple[Trial, ...]

    @property
    def chosen(self) -> str | None:
        """The engine to use; None: none may serve."""
        sound = {trial.engine: trial.seconds or 0.0 for trial in self.trials if trial.problem is None}
        if not sound:
            return None
        fastest = min(sound, key=lambda engine: sound[engine])
        return FIRST if FIRST in sound and sound[fastest] > MARGIN * sound[FIRST] else fastest


class TrialFile:
    """Records by checkpoint and device.

    Args:
        path: JSON; made when needed. None: nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def read(self, checkpoint: str, device: str) -> Record | None:
        """What was recorded last."""
        found = self._read().get(_key(checkpoint, device), {})
        with suppress(TypeError, KeyError, AttributeError):  # another version wrote it, or a hand
            return Record(found["conditions"], tuple(Trial(**trial) for trial in found["trials"]))
        return None

    def write(self, checkpoint: str, device: str, record: Record) -> None:
        """Keep a record; a disk that refuses costs another trial, nothing else."""
        if self._path is None:
            return
        content = self._read()
        trials = [asdict(trial) for trial in record.trials]
        content[_key(checkpoint, device)] = {"conditions": dict(record.conditions), "trials": trials}
        with suppress(OutputError):
            private_folder(self._path.parent)
            write_file(self._path, json.dumps(content, indent=1).encode())

    def _read(self) -> dict[str, Any]:
        if self._path is None:
            return {}
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def _key(checkpoint: str, device: str) -> str:
    return f"{checkpoint} on {device}"
