"""`gpen-bridge enhance`: pictures and folders of them, through the bridge or in this process.

Owns which files are meant, where results go and the report at the end. An original is
never written to, and a result appears whole or not at all.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.report import AsJson, described, notices, people, print_json, reported

if TYPE_CHECKING:
    from bridge.cli.workers import Done, Worker
    from bridge.errors import BridgeError
    from bridge.protocol.enhancement import EnhanceRequest

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})
SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/tiff": ".tif", "image/webp": ".webp"}
MARK = "-GPEN"
OWN_RESULT = re.compile(rf"{MARK}(-\d+)?$")

Slider = Annotated[int | None, typer.Option(min=0, max=100, help="0 to 100; absent: the preset's.")]


def enhance(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Pictures, or folders of them.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the results; absent: beside each.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Where the parameters start from.")] = "default",
    strength: Slider = None,
    denoise: Slider = None,
    sharpen: Slider = None,
    mode: Annotated[str | None, typer.Option(help="natural, detail or strong.")] = None,
    select: Annotated[str | None, typer.Option(help="all, largest, or face numbers like 0,2.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="auto, or a name of `weights list`.")] = None,
    format_: Annotated[str, typer.Option("--format", help="same, tiff, png, jpeg or webp.")] = "same",
    depth: Annotated[str, typer.Option(help="Bits a channel: same, 8 or 16.")] = "same",
    quality: Annotated[int, typer.Option(min=1, max=100, help="Of JPEG and WebP.")] = 95,
    as_json: AsJson = False,
) -> None:
    """Enhance pictures. Results are named NAME-GPEN; originals are never changed."""
    params = {
        "strength": strength,
        "denoise": denoise,
        "sharpen": sharpen,
        "mode": mode,
        "select": _selection(select),
        "checkpoint": checkpoint,
    }
    content = {
        "preset": preset,
        "params": {name: value for name, value in params.items() if value is not None},
        "output": {
            "format": format_,
            "depth": int(depth) if depth.isdecimal() else depth,
            "quality": quality,
        },
    }
    with reported(as_json):
        request = _request(content)
        pictures = list(expanded(paths))
        report = Report(as_json, len(pictures))
        try:
            asyncio.run(_all(pictures, output, request, report))
        except KeyboardInterrupt:
            report.interrupted = True
        report.show()
        if report.failed or report.interrupted:
            raise typer.Exit(1)


def expanded(paths: Sequence[Path]) -> list[Path]:
    """Files as they are; of a folder the pictures directly in it, but not our own results."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(item for item in path.iterdir() if item.is_file())
        found += [
            item
            for item in inside
            if item.suffix.lower() in PICTURES
            and not OWN_RESULT.search(item.stem)
            and not item.name.startswith(".")
        ]
    return list(dict.fromkeys(found))


def target_for(source: Path, folder: Path | None, media_type: str) -> Path:
    """A name for the result that nothing has yet: `stem-GPEN`, numbered if that is taken."""
    suffix = SUFFIXES[media_type]
    if _same_kind(source.suffix.lower(), suffix):
        suffix = source.suffix
    parent = folder or source.parent
    target = parent / f"{source.stem}{MARK}{suffix}"
    number = 2
    while target.exists():
        target = parent / f"{source.stem}{MARK}-{number}{suffix}"
        number += 1
    return target


class Report:
    """What happened to each picture, shown as it happens and summed up at the end."""

    def __init__(self, as_json: bool, total: int) -> None:
        self._as_json = as_json
        self._total = total
        self._items: list[dict[str, Any]] = []
        self.interrupted = False

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The pictures that failed, each with its error."""
        return [item for item in self._items if "error" in item]

    def done(self, source: Path, target: Path, done: Done) -> None:
        """One picture is finished and written."""
        facts = {"found": done.found, "restored": done.restored, "warnings": list(done.warnings)}
        seconds = {name: round(value, 3) for name, value in done.seconds.items()}
        self._items.append({"path": str(source), "output": str(target), "seconds": seconds, **facts})

    def failure(self, source: Path, error: BridgeError) -> None:
        """One picture failed; the others go on."""
        self._items.append({"path": str(source), "error": described(error)})

    def show(self) -> None:
        """The counts, the failed files and why."""
        counts = {
            "total": self._total,
            "success": len(self._items) - len(self.failed),
            "failed": len(self.failed),
        }
        if self._as_json:
            print_json({**counts, "interrupted": self.interrupted, "items": self._items})
            return
        for item in self._items:
            if "output" in item:
                people.print(
                    f"{item['output']}  ({item['restored']} of {item['found']} faces)",
                    markup=False,
                    soft_wrap=True,
                )
                for warning in item["warnings"]:
                    people.print(f"  {warning}", style="yellow", markup=False, soft_wrap=True)
        for item in self.failed:
            people.print(
                f"{item['path']}: {item['error']['detail']}", style="red", markup=False, soft_wrap=True
            )
            people.print(f"  {item['error']['hint']}", style="dim", markup=False, soft_wrap=True)
        if self.interrupted:
            people.print(f"Stopped: {self._total - len(self._items)} pictures were not worked on.")
        people.print("total {total}, success {success}, failed {failed}".format(**counts), style="bold")


async def _all(
    pictures: Sequence[Path], folder: Path | None, request: EnhanceRequest, report: Report
) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from bridge.cli.workers import worker_for
    from bridge.config import Places, load

    places = Places.current()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notices, transient=True, disable=not notices.is_terminal) as progress:
        task = progress.add_task("Loading the network", total=len(pictures))
        async with worker_for(places, load(places)) as worker:
            for picture in pictures:
                progress.update(task, description=picture.name)
                await _one(worker, picture, folder, request, report)
                progress.advance(task)


async def _one(
    worker: Worker, picture: Path, folder: Path | None, request: EnhanceRequest, report: Report
) -> None:
    from bridge.errors import BridgeError

    try:
        done = await worker(_read(picture), request)
        report.done(picture, await asyncio.to_thread(_write, picture, folder, done), done)
    except BridgeError as error:
        report.failure(picture, error)


def _read(path: Path) -> bytes:
    from bridge.errors import ImageError

    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror or error}.") from error


def _write(source: Path, folder: Path | None, done: Done) -> Path:
    from bridge.atomic import write_file
    from bridge.errors import OutputError

    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder} cannot be made: {error.strerror or error}.") from error
    target = target_for(source, folder, done.media_type)
    write_file(target, done.data)
    return target


def _request(content: dict[str, Any]) -> EnhanceRequest:
    from bridge.errors import InvalidRequest
    from bridge.protocol.enhancement import EnhanceRequest

    try:
        return EnhanceRequest.parse(content)
    except InvalidRequest as error:
        raise typer.BadParameter(error.detail) from error


def _selection(text: str | None) -> str | list[int] | None:
    numbers = (text or "").split(",")
    return [int(number) for number in numbers] if all(map(str.isdecimal, numbers)) else text


def _same_kind(one: str, other: str) -> bool:
    short = {".jpeg": ".jpg", ".tiff": ".tif"}
    return short.get(one, one) == short.get(other, other)
