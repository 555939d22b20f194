"""`gpen-bridge serve`: runs the bridge in this terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.report import AsJson, people, print_json, reported

if TYPE_CHECKING:
    from bridge.server.serve import Started


def serve(
    port: Annotated[
        int | None, typer.Option(help="First port tried; 0 takes any free one.", min=0, max=65535)
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; 0 is one for each core.", min=0)] = None,
    as_json: AsJson = False,
) -> None:
    """Run the bridge until Ctrl-C. Plug-ins on this computer find it by themselves."""
    from bridge.config import Places, load
    from bridge.server.app import open_parts
    from bridge.server.serve import serve as run

    with reported(as_json):
        places = Places.current()
        settings = load(places, port=port, device=device, threads=threads)
        run(settings, places, open_parts, _tell_in_json if as_json else _tell)


def _tell(started: Started) -> None:
    people.print(f"GPEN Enhance listens at [bold]{started.url}[/]")
    people.print(f"Code to pair a plug-in: [bold]{started.pairing_code}[/] (valid for five minutes)")
    people.print("Stop with Ctrl-C.", style="dim")


def _tell_in_json(started: Started) -> None:
    # Never the token: it lies in bridge.json, for the owner's eyes.
    print_json({"url": started.url, "pairing_code": started.pairing_code, "pid": started.announcement.pid})
