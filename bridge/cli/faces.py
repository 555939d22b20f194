"""`gpen-bridge faces`: what is found in a picture, and how good it looks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.report import AsJson, people, print_json, reported

if TYPE_CHECKING:
    from bridge.config import Places
    from bridge.protocol.enhancement import FacesResult


def faces(
    path: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A picture.")],
    as_json: AsJson = False,
) -> None:
    """Find the faces of a picture; nothing is changed."""
    from bridge.config import Places
    from bridge.server.serve import running

    with reported(as_json):
        places = Places.current()
        data = path.read_bytes()
        found = asyncio.run(_ask(places, data)) if running(places) else _find(places, data)
        if as_json:
            print_json({"path": str(path), **found.model_dump(mode="json", exclude_none=True)})
        else:
            _show(found)


async def _ask(places: Places, data: bytes) -> FacesResult:
    from bridge.client import Client

    async with Client.from_announcement(places) as bridge:
        return await bridge.faces(data)


def _find(places: Places, data: bytes) -> FacesResult:
    from bridge.config import load
    from bridge.faces.detect import Detector
    from bridge.imaging.codecs import decode
    from bridge.metrics import Stages
    from bridge.server.faces import describe

    settings = load(places)
    stages = Stages()
    with stages.stage("decode"):
        image = decode(data, max_megapixels=settings.max_megapixels)
    return describe(
        image, Detector(), min_size=settings.min_face, min_score=settings.min_score, stages=stages
    )


def _show(found: FacesResult) -> None:
    from rich.table import Table

    table = Table("face", "size (px)", "score", "quality", "box")
    for index, face in enumerate(found.faces):
        box = ", ".join(f"{value:.0f}" for value in face.box)
        grade = face.quality.grade if face.quality else ""
        table.add_row(str(index), f"{face.size:.0f}", f"{face.score:.2f}", grade, box)
    people.print(table if found.faces else "No face was found.")
    people.print(f"Suggested preset: [bold]{found.suggested_preset}[/]")
