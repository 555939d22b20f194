"""The command line: the verbs of design.md section 2, one file each.

Only typer is imported up front; a verb imports what it works with when it is called,
so that `--help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from bridge import __version__
from bridge.cli import (
    bench,
    doctor,
    enhance,
    faces,
    jobs,
    plugins,
    presets,
    report,
    serve,
    studio,
    watch,
    weights,
)

app = typer.Typer(
    name="gpen-bridge",
    help="Enhances portraits with GPEN, for Lightroom Classic, Photoshop and the command line.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Enhances portraits with GPEN, for Lightroom Classic, Photoshop and the command line."""


app.command("serve")(serve.serve)
app.command("enhance")(enhance.enhance)
app.command("faces")(faces.faces)
app.command("presets")(presets.presets)
app.add_typer(jobs.app, name="jobs")
app.command("watch")(watch.watch)
app.add_typer(weights.app, name="weights")
app.add_typer(plugins.app, name="plugins")
app.add_typer(studio.app, name="studio")
app.command("doctor")(doctor.doctor)
app.command("bench")(bench.bench)


def main() -> None:
    """Run the command line. Exit status: 0 all done, 1 something failed, 2 wrong use."""
    report.take_any_text()
    app()
