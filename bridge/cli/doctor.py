"""`gpen-bridge doctor`: looks at everything the bridge needs, and says what to do."""

from __future__ import annotations

import asyncio
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.report import AsJson, people, print_json, reported

if TYPE_CHECKING:
    from bridge.config import Places, Settings
    from bridge.engine.trials import Trial
    from bridge.server.announcement import Announcement

ROOM_BYTES = 5 * 1024**3
"""Free space under which a batch of 16-bit TIFFs soon fills the disk."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` only where something is to be done."""

    subject: str
    ok: bool
    detail: str
    advice: str = ""


def doctor(as_json: AsJson = False) -> None:
    """Check settings, Python, torch, device, engine, checkpoints, detector, disk, ports and bridge.json."""
    from bridge.config import Places

    with reported(as_json):
        places = Places.current()
        settings, finding = _settings(places)
        findings = [finding] + [
            _checked(subject, check)
            for subject, check in (
                ("python", _python),
                ("torch", _torch),
                ("device", lambda: _device(settings)),
                ("engine", lambda: _engine(settings, places)),
                ("checkpoints", lambda: _checkpoints(places)),
                ("detector", _detector),
                ("disk", lambda: _disk(places)),
                ("bridge", lambda: _bridge(places)),
                ("ports", lambda: _ports(places, settings)),
            )
        ]
        _show(findings, as_json)
        if not all(finding.ok for finding in findings):
            raise typer.Exit(1)


def _checked(subject: str, check: Callable[[], str]) -> Finding:
    from bridge.errors import BridgeError

    try:
        return Finding(subject, True, check())
    except BridgeError as error:
        return Finding(subject, False, error.detail, error.hint)


def _settings(places: Places) -> tuple[Settings, Finding]:
    """The settings in force, or the defaults if those are broken, and what is to be said of them."""
    from bridge.config import Settings, load
    from bridge.errors import ConfigInvalid

    try:
        settings = load(places)
    except ConfigInvalid as error:
        return Settings.model_construct(), Finding("settings", False, error.detail, error.hint)
    there = "" if places.settings_file.exists() else " (not there: the defaults hold)"
    return settings, Finding("settings", True, f"{places.settings_file}{there}")


def _python() -> str:
    return f"{platform.python_version()} on {platform.platform()} ({sys.executable})"


def _torch() -> str:
    from importlib.metadata import PackageNotFoundError, version

    from bridge.errors import ExtraMissing

    try:
        return version("torch")
    except PackageNotFoundError:
        raise ExtraMissing("torch is not installed.", hint="Install the bridge again with pip.") from None


def _device(settings: Settings) -> str:
    from bridge.engine.device import choose

    device = choose(settings.device, settings.threads)
    return f"{device.name}: {device.title}"


def _engine(settings: Settings, places: Places) -> str:
    """Which engine serves each checkpoint, and why."""
    from bridge.cli.bench import selection_of
    from bridge.errors import SelfTestFailed

    selection, library, _ = selection_of(settings, places)
    told: list[str] = []
    for entry in library.installed():
        record = selection.record(entry.name)
        if record is None:
            told.append(f"{entry.name}: tried at its first use, or now by `gpen-bridge bench`")
            continue
        others = "; ".join(_trial(trial) for trial in record.trials if trial.engine != record.chosen)
        if record.chosen is None:
            raise SelfTestFailed(f"No engine may run {entry.name}: {others}")
        chosen = next(_trial(trial) for trial in record.trials if trial.engine == record.chosen)
        told.append(f"{entry.name}: {chosen}" + (f" ({others})" if others else ""))
    return "\n    ".join(told)


def _trial(trial: Trial) -> str:
    if trial.problem is not None:
        return f"not {trial.engine}: {trial.problem.rstrip('.')}"
    return trial.engine if trial.seconds is None else f"{trial.engine} {trial.seconds:.2f} s a face"


def _checkpoints(places: Places) -> str:
    from bridge.checkpoints import Checkpoints
    from bridge.config import bundled
    from bridge.errors import CheckpointNotInstalled

    library = Checkpoints(bundled("weights"), places.weights)
    installed = [library.verify(entry.name).entry.name for entry in library.installed()]
    if not installed:
        raise CheckpointNotInstalled("No checkpoint is installed.")
    return ", ".join(installed)


def _detector() -> str:
    from bridge.faces.detect import Detector

    Detector()
    return "YuNet opens"


def _disk(places: Places) -> str:
    from bridge.atomic import private_folder, write_file
    from bridge.errors import OutputError

    private_folder(places.data)
    probe = places.data / ".doctor"
    write_file(probe, b"", private=True)
    probe.unlink()
    free = shutil.disk_usage(places.data).free
    told = f"{free / 1e9:.0f} GB free in {places.data}"
    if free < ROOM_BYTES:
        raise OutputError(told, hint="Make room, or move the data folder with GPEN_HOME.")
    return told


def _bridge(places: Places) -> str:
    from bridge.errors import BridgeUnreachable
    from bridge.server.announcement import announced
    from bridge.server.serve import running

    found = running(places)
    if found is None:
        if announced(places):
            raise BridgeUnreachable(
                f"{places.announcement} is left over from a bridge that ended abruptly.",
                hint="Start the bridge once with `gpen-bridge serve`; it replaces the file.",
            )
        return "not running (it starts with `gpen-bridge serve`)"
    return asyncio.run(_health(places, found))


async def _health(places: Places, found: Announcement) -> str:
    from bridge.client import Client

    async with Client.from_announcement(places) as bridge:
        health = await bridge.health()
    return f"{health.status} at {found.url}, version {health.version}, protocol {health.protocol}"


def _ports(places: Places, settings: Settings) -> str:
    from bridge.server.serve import listen, running

    if running(places):
        return "held by the running bridge"
    sockets = listen(settings.port)
    port = sockets[0].getsockname()[1]
    for listening in sockets:
        listening.close()
    taken = f"; {settings.port} is another program's" if port != settings.port and settings.port else ""
    return f"{port} is free{taken}"


def _show(findings: list[Finding], as_json: bool) -> None:
    if as_json:
        content: list[dict[str, Any]] = [dict(vars(finding)) for finding in findings]
        print_json({"findings": content})
        return
    for finding in findings:
        sign = "[green]ok [/]" if finding.ok else "[bold red]no [/]"
        people.print(f"{sign} {finding.subject:<12}", end="")
        people.print(finding.detail, markup=False, soft_wrap=True)
        if finding.advice:
            people.print(f"    {finding.advice}", style="yellow", markup=False, soft_wrap=True)
