"""`gpen-bridge plugins`: the plug-ins for Lightroom Classic and Photoshop, installed or as files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bridge.cli.report import AsJson, people, print_json, reported

app = typer.Typer(help="Install the plug-ins, or write them as files to install from.", no_args_is_help=True)


class Host(StrEnum):
    """The programs that we have a plug-in for."""

    lightroom = "lightroom"
    photoshop = "photoshop"


Name = Annotated[Host, typer.Argument(help="Which plug-in.", show_default=False)]
Bridge = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Studio use: the address of a bridge on another machine that the plug-in may reach too.",
    ),
]


@app.command("package")
def package(
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write it to.")] = Path(),
    bridge: Bridge = None,
    as_json: AsJson = False,
) -> None:
    """Write a plug-in as one file; the same bytes each time."""
    from bridge import plugins

    with reported(as_json):
        path = plugins.package(name, output, bridge=bridge)
        if as_json:
            print_json({"plugin": name, "path": str(path)})
            return
        people.print(f"Wrote {path}", markup=False, soft_wrap=True)


@app.command("install")
def install(
    name: Name,
    dest: Annotated[
        Path | None,
        typer.Option(help="Lightroom's Modules folder; absent: that of this user.", file_okay=False),
    ] = None,
    bridge: Bridge = None,
    as_json: AsJson = False,
) -> None:
    """Install a plug-in, or say what is left to do."""
    from bridge import plugins
    from bridge.config import Places

    with reported(as_json):
        came_to = plugins.install(name, Places.current().data / "plugins", bridge=bridge, folder=dest)
        if as_json:
            print_json(
                {
                    "plugin": came_to.plugin,
                    "path": str(came_to.path),
                    "done": came_to.done,
                    "next_step": came_to.next_step,
                }
            )
            return
        people.print(came_to.next_step, markup=False, soft_wrap=True)
