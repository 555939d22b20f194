"""`gpen-bridge bench`: how fast each engine is here, whether its numbers are right, and which one serves;
with a photo, what each stage of enhancing it takes."""

from __future__ import annotations

import statistics
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.report import AsJson, notices, people, print_json, reported

if TYPE_CHECKING:
    from bridge.checkpoints import Checkpoints
    from bridge.config import Places, Settings
    from bridge.engine.device import Device
    from bridge.engine.selection import Selection
    from bridge.engine.trials import Record
    from bridge.pipeline import EnhancedFile

TIMED = 3
"""How often a photo is enhanced for the figures, after a first time that opens everything."""


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help="Checkpoints. Absent: every installed one.")
    ] = None,
    photo: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            readable=True,
            help="Enhance this photo instead, with the preset `default`, and tell where the time goes.",
        ),
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
        if photo is not None:
            _time_photo(photo, names, settings, selection, library, device, as_json)
            return
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


def _time_photo(
    photo: Path,
    names: list[str] | None,
    settings: Settings,
    selection: Selection,
    library: Checkpoints,
    device: Device,
    as_json: bool,
) -> None:
    """Enhance a photo as the bridge would, and tell the seconds of each stage."""
    from bridge.engine.engine import Engine
    from bridge.errors import InvalidRequest
    from bridge.faces.detect import Detector
    from bridge.pipeline import Tools, enhance_file
    from bridge.presets import BUILT_IN, Output

    if names and len(names) > 1:
        raise InvalidRequest(f"A photo is timed with one checkpoint, not {len(names)}.", hint="Name one.")
    data = photo.read_bytes()
    parameters = BUILT_IN["default"].parameters
    if names:
        parameters = parameters.model_copy(update={"checkpoint": names[0]})
    with Engine(selection.open, device, reference=selection.reference) as engine:
        tools = Tools(
            Detector(),
            engine,
            library,
            min_face=settings.min_face,
            min_score=settings.min_score,
            max_megapixels=settings.max_megapixels,
        )
        done = [enhance_file(data, parameters, Output(), tools) for _ in range(1 + TIMED)][1:]
    _tell_photo(photo, done, device, as_json)


def _tell_photo(photo: Path, done: list[EnhancedFile], device: Device, as_json: bool) -> None:
    from rich.table import Table

    stages = {
        stage: statistics.median(each.enhancement.seconds[stage] for each in done)
        for stage in done[0].enhancement.seconds
    }
    faces = done[0].enhancement.faces
    used = sorted({face.checkpoint.name for face in faces if face.checkpoint})
    image = done[0].enhancement.image
    whole = sum(stages.values())
    told: dict[str, Any] = {
        "photo": photo.name,
        "megapixels": round(image.width * image.height / 1e6, 1),
        "faces": len(faces),
        "checkpoints": used,
        "device": device.title,
        "seconds": {stage: round(seconds, 4) for stage, seconds in stages.items()},
        "photos_an_hour": round(3600 / whole),
    }
    if as_json:
        print_json(told)
        return
    what = f"{told['megapixels']} megapixels, {len(faces)} {'face' if len(faces) == 1 else 'faces'}"
    people.print(f"{photo.name}: {what}", markup=False, soft_wrap=True)
    table = Table("stage", "seconds", "share")
    for stage, seconds in stages.items():
        table.add_row(stage, f"{seconds:.3f}", f"{seconds / whole:.0%}")
    table.add_row("in all", f"{whole:.3f}", "")
    people.print(table)
    network = f" with {', '.join(used)}" if used else ""
    people.print(f"{device.title}{network}: {told['photos_an_hour']} such photos an hour, one by one.")


def _told(record: Record) -> dict[str, Any]:
    return {"chosen": record.chosen, "trials": [asdict(trial) for trial in record.trials]}


def _show(name: str, device: Device, record: Record) -> None:
    from rich.markup import escape
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
        table.add_row(trial.engine, time, ratio, difference, escape(note))
    people.print(table)
