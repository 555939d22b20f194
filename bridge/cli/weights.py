"""`gpen-bridge weights`: list, pull, import, verify and convert checkpoints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.report import AsJson, notices, people, print_json, reported

if TYPE_CHECKING:
    from bridge.checkpoints import Checkpoints, Entry, Progress

app = typer.Typer(help="Checkpoints: the files that hold the network's weights.", no_args_is_help=True)

Accept = Annotated[bool, typer.Option("--accept-licence", help="You have read the terms and agree.")]
Existing = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show known and installed checkpoints."""
    from rich.table import Column, Table

    from bridge.server.checkpoints import states

    with reported(as_json):
        found = states(_library(), lambda _: None)
        if as_json:
            print_json(found.model_dump(mode="json", exclude_none=True))
            return
        name = Column("name", no_wrap=True)  # it is copied into other commands
        table = Table(name, "pixels", "MB", "installed", "paid work", "what to expect")
        for state in found.checkpoints:
            megabytes = f"{state.bytes / 1e6:.0f}" if state.bytes else "?"
            yes_no = ("yes" if state.installed else "", "yes" if state.licence.commercial else "no")
            table.add_row(state.name, str(state.side), megabytes, *yes_no, state.summary)
        people.print(table)


@app.command()
def pull(name: str, accept_licence: Accept = False, as_json: AsJson = False) -> None:
    """Download a checkpoint, after showing its licence. Resumes where it stopped."""
    from rich.progress import DownloadColumn
    from rich.progress import Progress as Bar

    with reported(as_json):
        library = _library()
        accepted = accept_licence or _agreed(library, library.entry(name), as_json)
        columns = (*Bar.get_default_columns(), DownloadColumn())
        with Bar(*columns, console=notices, transient=True, disable=not notices.is_terminal) as bar:
            task = bar.add_task(name, total=None)

            def on_progress(progress: Progress) -> None:
                bar.update(task, completed=progress.done, total=progress.total)

            entry = library.pull(name, accepted, on_progress)
        _tell_installed(entry, as_json)


@app.command("import")
def import_(
    file: Existing,
    name: Annotated[str | None, typer.Option(help="What to call it, or which one it is.")] = None,
    accept_licence: Accept = False,
    as_json: AsJson = False,
) -> None:
    """Take in a checkpoint file that you have, after showing its licence."""
    with reported(as_json):
        library = _library()
        entry = library.recognise(file, name)
        accepted = accept_licence or _agreed(library, entry, as_json)
        _tell_installed(library.import_file(file, accepted, name), as_json)


@app.command()
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Absent: every installed one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare installed checkpoints with their SHA-256."""
    with reported(as_json):
        library = _library()
        wanted = names or [entry.name for entry in library.installed()]
        verified = [library.verify(name) for name in wanted]
        if as_json:
            print_json(
                {
                    "verified": [
                        {"name": one.entry.name, "sha256": one.sha256, "first_use": one.first_use}
                        for one in verified
                    ]
                }
            )
            return
        for one in verified:
            trust = "as at first use" if one.first_use else "as published"
            people.print(f"{one.entry.name}: {one.sha256} ({trust})", soft_wrap=True)  # a hash is copied
        if not verified:
            people.print("No checkpoint is installed.")


@app.command()
def convert(
    source: Annotated[str, typer.Argument(help="A checkpoint file, or the name of an installed one.")],
    destination: Annotated[Path, typer.Argument(help="Ending in .onnx for ONNX; else safetensors.")],
    as_json: AsJson = False,
) -> None:
    """Rewrite a checkpoint as safetensors or ONNX, anywhere; nothing is installed."""
    from bridge.errors import OutputError

    with reported(as_json):
        if destination.exists():
            raise OutputError(f"{destination} exists already.", hint="Choose another name.")
        library = _library()
        path = Path(source) if Path(source).is_file() else library.stored(source)[1]
        told: dict[str, object] = {"source": str(path), "destination": str(destination)}
        seen = ""
        if destination.suffix.lower() == ".onnx":
            exported = library.export(path, destination)
            told |= {"side": exported.side, "difference": exported.difference}
            seen = f" It differs from torch by {exported.difference:.1e} at most."
        else:
            library.convert(path, destination)
        if as_json:
            print_json(told)
        else:
            people.print(f"{destination} is written.{seen}", markup=False)


def _library() -> Checkpoints:
    from bridge.checkpoints import Checkpoints
    from bridge.config import Places, bundled

    return Checkpoints(bundled("weights"), Places.current().weights)


def _agreed(library: Checkpoints, entry: Entry, as_json: bool) -> bool:
    """Show the terms and ask, where someone is there to answer; else the library says what is missing."""
    known = {known.name for known in library.entries()}
    if entry.name in known and library.has_accepted(entry.name):
        return True
    if as_json or not sys.stdin.isatty():
        return False
    people.print(f"[bold]{entry.title}[/]: {entry.licence.title}")
    people.print(entry.licence.terms.strip(), markup=False)
    return typer.confirm("Do you accept these terms?")


def _tell_installed(entry: Entry, as_json: bool) -> None:
    if as_json:
        print_json({"name": entry.name, "title": entry.title, "side": entry.side})
    else:
        people.print(f"{entry.title} is installed.", markup=False)
