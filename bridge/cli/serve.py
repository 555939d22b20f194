"""`gpen-bridge serve`: runs the bridge in this terminal."""

from __future__ import annotations

import asyncio
import webbrowser
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.report import AsJson, people, print_json, reported

if TYPE_CHECKING:
    from bridge.config import Places
    from bridge.server.serve import Started


def serve(
    port: Annotated[
        int | None, typer.Option(help="First port tried; 0 takes any free one.", min=0, max=65535)
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, mps, cuda or cuda:N.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="auto, torch, ncnn, onnx, or another that docs/settings.md names.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; 0 is one for each core.", min=0)] = None,
    open_console: Annotated[bool, typer.Option("--open", help="Open the console, signed in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the bridge until Ctrl-C. Plug-ins on this computer find it by themselves."""
    from bridge.config import Places, load
    from bridge.errors import AlreadyRunning
    from bridge.server.app import open_parts
    from bridge.server.serve import serve as run

    def on_started(started: Started) -> None:
        (_tell_in_json if as_json else _tell)(started)
        if open_console:
            webbrowser.open(started.console)

    with reported(as_json):
        places = Places.current()
        settings = load(places, port=port, device=device, engine=engine, threads=threads)
        try:
            run(settings, places, open_parts, on_started)
        except AlreadyRunning:
            if open_console:
                asyncio.run(_open_running(places))
            raise


async def _open_running(places: Places) -> None:
    """Open the console of the bridge that runs already, with a fresh code."""
    from bridge.client import Client

    async with Client.from_announcement(places) as bridge:
        webbrowser.open(await bridge.console_link())


def _tell(started: Started) -> None:
    people.print(f"GPEN Enhance listens at [bold]{started.url}[/]")
    people.print(f"Console: [bold]{started.console}[/] (signs in once, within five minutes)")
    people.print(f"Code to pair a plug-in: [bold]{started.pairing_code}[/] (valid for five minutes)")
    people.print("Stop with Ctrl-C.", style="dim")


def _tell_in_json(started: Started) -> None:
    # Never the token: it lies in bridge.json, for the owner's eyes.
    print_json(
        {
            "url": started.url,
            "console": started.console,
            "pairing_code": started.pairing_code,
            "pid": started.announcement.pid,
        }
    )
