"""Which engine runs a checkpoint here: the fastest of those whose numbers are right.

Tries engines on the thread that will use them, when a checkpoint is opened for the first time; what
was found is kept in `trials.py`'s file. See docs/decisions/0009-engines.md.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from bridge.engine.device import Device, choose
from bridge.engine.runner import Crops, OpenedNetwork, Runner
from bridge.engine.self_test import VERSION, examine, face_like
from bridge.engine.trials import UNFINISHED, Record, Trial, TrialFile
from bridge.errors import BridgeError, CheckpointError, SelfTestFailed
from bridge.network.engines import KINDS, TORCH, suitable

AUTO = "auto"
PASSES = 5
"""Timed passes of each engine, of which the fastest counts: another program's load only ever adds."""
PATIENCE = 3.0
"""Seconds of timed passes after which no further one is begun."""

Clock = Callable[[], float]


class Library(Protocol):
    """What is needed of the checkpoints: `bridge.checkpoints.Checkpoints` is one."""

    def open(self, name: str, engine: str = TORCH) -> OpenedNetwork:
        """An installed checkpoint, as that engine runs it."""

    def sha256(self, name: str) -> str:
        """Of the file that `open` opens."""


class Available(Protocol):
    """What is needed of an engine's `Kind`."""

    @property
    def require(self) -> Callable[[], None]:
        """Raises what it lacks here."""

    @property
    def version(self) -> str:
        """Of what it is made of."""


def engines_for(setting: str, device_setting: str, device: Device) -> tuple[str, ...]:
    """The engines to try: those that suit the device, or the one that the settings name."""
    if setting != AUTO:
        return (setting,)
    return suitable(device.name, any_gpu=device_setting == AUTO)


class Selection:
    """Opens checkpoints, each with its engine.

    Only the thread that runs the passes may call `open`, `reference` and `measure`.

    Args:
        library: opens a checkpoint for a named engine.
        device: where torch runs.
        engines: to choose from, by name.
        file: keeps what was found; None: nothing is kept.
    """

    def __init__(
        self,
        library: Library,
        device: Device,
        engines: Sequence[str],
        file: Path | None,
        *,
        kinds: Mapping[str, Available] = KINDS,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._library = library
        self._device = device
        self._engines = engines
        self._file = TrialFile(file)
        self._kinds = kinds
        self._clock = clock
        self.chosen: dict[str, str] = {}

    def open(self, checkpoint: str) -> OpenedNetwork:
        """Open it with the engine that was chosen, now or earlier.

        Raises:
            SelfTestFailed: no engine computes it right.
            ExtraMissing, DeviceUnavailable: the one engine to choose from is not here.
            CheckpointError: it cannot be opened.
        """
        record = self.record(checkpoint) or self.measure(checkpoint)
        if record.chosen is None:
            told = "; ".join(f"{trial.engine}: {trial.problem}" for trial in record.trials)
            raise SelfTestFailed(f"No engine may run {checkpoint} on {self._device.title}. {told}")
        self.chosen[checkpoint] = record.chosen
        return self._library.open(checkpoint, record.chosen)

    def reference(self, checkpoint: str) -> OpenedNetwork:
        """What every engine is compared with."""
        return self._library.open(checkpoint, TORCH)

    def record(self, checkpoint: str) -> Record | None:
        """What is known without trying: kept from earlier, or plain as nothing else is here; else None."""
        lacking = self._lacking()
        conditions = self._conditions(checkpoint, lacking)
        kept = self._file.read(checkpoint, self._device.name)
        if kept is not None and kept.conditions == conditions:
            tried = {trial.engine for trial in kept.trials}
            if tried == set(self._engines):
                return kept
        if set(self._engines) - set(lacking) == {TORCH} and self._device.is_cpu:
            # Torch in float32 on the CPU is the measure itself.
            return Record(conditions, (Trial(TORCH), *lacking.values()))
        return None

    def measure(self, checkpoint: str, *, afresh: bool = False) -> Record:
        """Try every engine, and keep what was found.

        Args:
            afresh: try those too that ended the process when they were tried before.

        Raises:
            ExtraMissing, DeviceUnavailable: the one engine to choose from is not here.
            CheckpointError: the checkpoint cannot be opened.
        """
        if len(self._engines) == 1:
            self._kinds[self._engines[0]].require()
        lacking = self._lacking()
        conditions = self._conditions(checkpoint, lacking)
        reference = Runner(self.reference(checkpoint), choose("cpu", self._device.threads))
        probe = face_like(reference.side)
        expected = reference.run(probe)
        trials = dict(lacking)
        kept = None if afresh else self._file.read(checkpoint, self._device.name)
        if kept is not None and kept.conditions == conditions:
            trials |= {trial.engine: trial for trial in kept.trials if trial.problem == UNFINISHED}
        for engine in self._engines:
            if engine in trials:
                continue
            if engine == TORCH and self._device.is_cpu:
                trials[engine] = Trial(engine, self._seconds(reference, probe), 0.0)
                continue
            # Should it end the process, that is what will be known of it.
            self._keep(checkpoint, conditions, {**trials, engine: Trial(engine, problem=UNFINISHED)})
            trials[engine] = self._try(checkpoint, engine, probe, expected)
        return self._keep(checkpoint, conditions, trials)

    def _keep(self, checkpoint: str, conditions: Mapping[str, object], trials: dict[str, Trial]) -> Record:
        in_order = tuple(trials[engine] for engine in self._engines if engine in trials)
        record = Record(conditions, in_order)
        self._file.write(checkpoint, self._device.name, record)
        return record

    def _try(self, checkpoint: str, engine: str, probe: Crops, expected: Crops) -> Trial:
        try:
            runner = Runner(self._library.open(checkpoint, engine), self._device)
            difference = examine(runner, expected, exact=self._device.is_cpu)
            return Trial(engine, self._seconds(runner, probe), difference)
        except CheckpointError:
            raise
        except BridgeError as error:
            return Trial(engine, problem=error.detail)
        except Exception as error:  # whatever a driver raises: then it is not for here
            return Trial(engine, problem=str(error).partition("\n")[0] or type(error).__name__)

    def _seconds(self, runner: Runner, probe: Crops) -> float:
        fastest, began = float("inf"), self._clock()
        for _ in range(PASSES):
            before = self._clock()
            runner.run(probe)
            after = self._clock()
            fastest = min(fastest, after - before)
            if after - began > PATIENCE:
                break
        return fastest

    def _lacking(self) -> dict[str, Trial]:
        lacking: dict[str, Trial] = {}
        for engine in self._engines:
            try:
                self._kinds[engine].require()
            except BridgeError as error:
                lacking[engine] = Trial(engine, problem=error.detail)
        return lacking

    def _conditions(self, checkpoint: str, lacking: Mapping[str, Trial]) -> dict[str, object]:
        present = [engine for engine in self._engines if engine not in lacking]
        return {
            "self-test": VERSION,
            "sha256": self._library.sha256(checkpoint),
            "device": self._device.title,
            "driver": self._device.driver,
            "threads": self._device.threads,
            "system": platform.platform(),
            "engines": {engine: self._kinds[engine].version for engine in present},
        }
