"""`gpen-bridge doctor`: looks at everything the bridge needs, and says what to do."""

from __future__ import annotations

import asyncio
import platform
import shutil
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.report import AsJson, people, print_json, reported

if TYPE_CHECKING:
    from bridge.config import Places, Settings
    from bridge.engine.trials import Trial
    from bridge.server.announcement import Announcement

ROOM_BYTES = 5 * 1024**3
"""Free space under which a batch of 16-bit TIFFs soon fills the disk."""
KNOCK_SECONDS = 2.0
"""For a port to take a connection; a firewall that drops says nothing at all."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `advice` only where something is to be done."""

    subject: str
    ok: bool
    detail: str
    advice: str = ""


def doctor(
    cluster: Annotated[
        str | None,
        typer.Option(
            help="A machine of a studio's cluster: only try whether the cluster's ports are closed to us.",
            metavar="HOST",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check settings, Python, torch, device, engine, checkpoints, detector, disk, ports and bridge.json."""
    with reported(as_json):
        findings = _all() if cluster is None else [_checked("cluster", lambda: _closed(cluster))]
        _show(findings, as_json)
        if not all(finding.ok for finding in findings):
            raise typer.Exit(1)


def _all() -> list[Finding]:
    from bridge.config import Places

    places = Places.current()
    settings, finding = _settings(places)
    checks: tuple[tuple[str, Callable[[], str]], ...] = (
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
    return [finding, *(_checked(subject, check) for subject, check in checks)]


def _checked(subject: str, check: Callable[[], str]) -> Finding:
    from bridge.errors import BridgeError

    try:
        return Finding(subject, True, check())
    except BridgeError as error:
        return Finding(subject, False, error.detail, error.hint)
    except Exception as error:
        # Whatever it is, it is a finding, and the rest is looked at all the same.
        return Finding(subject, False, f"{type(error).__name__}: {error}", BridgeError.default_hint)


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


def _closed(host: str) -> str:
    """Whether a cluster's machine takes no connection from here, where nothing belongs to the cluster."""
    from bridge.engine.ray_node import Ports
    from bridge.errors import ConfigInvalid

    asked = Ports().numbers
    with ThreadPoolExecutor(len(asked)) as threads:
        answers = list(threads.map(lambda port: _takes(host, port), asked))
    taken = [str(port) for port, takes in zip(asked, answers, strict=True) if takes]
    if taken:
        raise ConfigInvalid(
            f"{host} takes connections from this machine at {', '.join(taken)}.",
            hint="Close them in its firewall to all but the cluster's machines: docs/studio.md.",
        )
    return f"{host} takes no connection from this machine at {asked[0]} to {asked[-1]}"


def _takes(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), KNOCK_SECONDS).close()
    except socket.gaierror as error:
        from bridge.errors import ConfigInvalid

        raise ConfigInvalid(f"{host} cannot be found: {error}.") from error
    except OSError:
        return False
    return True


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
