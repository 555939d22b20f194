"""`gpen-bridge bench`: how fast each engine is here, whether its numbers are right, and which one serves."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.report import AsJson, notices, people, print_json, reported

if TYPE_CHECKING:
    from bridge.checkpoints import Checkpoints
    from bridge.config import Places, Settings
    from bridge.engine.device import Device
    from bridge.engine.selection import Selection
    from bridge.engine.trials import Record


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help="Checkpoints. Absent: every installed one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try every engine that suits this machine, and keep what is found for the next start."""
    from bridge.config import Places, load
    from bridge.server.serve import running

    with reported(as_json):
        places = Places.current()
        settings = load(places)
        selection, library, device = selection_of(settings, places)
        if running(places):
            notices.print("A bridge is running: stop it for true figures. It goes on with its engine.")
        device.settle_in()
        wanted = names or [entry.name for entry in library.installed()]
        found: dict[str, Record] = {}
        for name in wanted:
            found[name] = selection.measure(name, afresh=True)
            if not as_json:
                _show(name, device, found[name])
        if as_json:
            print_json({"device": device.title, "checkpoints": {name: _told(found[name]) for name in found}})
        if any(record.chosen is None for record in found.values()):
            raise typer.Exit(1)


def selection_of(settings: Settings, places: Places) -> tuple[Selection, Checkpoints, Device]:
    """What chooses the engines, as the bridge itself would make it."""
    from bridge.checkpoints import Checkpoints
    from bridge.config import bundled
    from bridge.engine.device import choose
    from bridge.engine.selection import Selection, engines_for

    library = Checkpoints(bundled("weights"), places.weights)
    device = choose(settings.device, settings.threads)
    engines = engines_for(settings.engine, settings.device, device)
    return Selection(library, device, engines, places.engines_file), library, device


def _told(record: Record) -> dict[str, Any]:
    return {"chosen": record.chosen, "trials": [asdict(trial) for trial in record.trials]}


def _show(name: str, device: Device, record: Record) -> None:
    from rich.table import Table

    title = f"{name} on {device.title}, {device.threads} threads"
    table = Table(
        "engine", "seconds a face", "times torch", "differs by", "", title=title, title_justify="left"
    )
    seconds = {trial.engine: trial.seconds for trial in record.trials}
    torch_seconds = seconds.get("torch")
    for trial in record.trials:
        time = f"{trial.seconds:.3f}" if trial.seconds else ""
        ratio = f"{torch_seconds / trial.seconds:.2f}" if trial.seconds and torch_seconds else ""
        difference = "" if trial.difference is None else f"{trial.difference:.1e}"
        note = "serves" if trial.engine == record.chosen else trial.problem or ""
        table.add_row(trial.engine, time, ratio, difference, note)
    people.print(table)
