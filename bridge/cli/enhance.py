"""`gpen-bridge enhance`: pictures and folders of them, as one batch that can be gone on with.

Owns which files are meant, where results go and the report at the end. An original is
never written to, and a result appears whole or not at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.report import AsJson, described, notices, people, print_json, reported

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from bridge.cli.batch import Batch, Picture
    from bridge.client import Client
    from bridge.errors import BridgeError
    from bridge.protocol.jobs import ItemState, JobRequest

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
        "select": selection(select),
        "checkpoint": checkpoint,
    }
    content = {
        "preset": preset,
        "params": {name: value for name, value in params.items() if value is not None},
        "output": {
            "format": format_,
            "depth": int(depth) if depth.isdecimal() else depth,
            "quality": quality,
            "template": "cli/{date}/{stem}-GPEN",
        },
    }
    with reported(as_json):
        request = job_request(content)
        pictures = list(expanded(paths))
        report = Report(as_json, pictures)
        try:
            asyncio.run(_all(pictures, output, request, report))
        except KeyboardInterrupt:
            report.interrupted = True
        report.show()
        if report.failed or report.interrupted:
            raise typer.Exit(1)


def expanded(paths: Sequence[Path]) -> list[Path]:
    """Files as they are; of a folder the pictures directly in it, but not our own results."""
    from bridge.cli.batch import is_picture

    found: list[Path] = []
    for path in paths:
        found += sorted(filter(is_picture, path.iterdir())) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


class Report:
    """What happened to each picture, shown as it happens and summed up at the end."""

    def __init__(self, as_json: bool, pictures: Sequence[Path]) -> None:
        self._as_json = as_json
        self._total = len(pictures)
        self._order = {str(path): number for number, path in enumerate(pictures)}
        self._items: list[dict[str, Any]] = []
        self.interrupted = False

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The pictures that failed, each with its error."""
        return [item for item in self._items if "error" in item]

    def done(self, source: Path, target: Path, item: ItemState) -> None:
        """One picture is finished and written."""
        assert item.result is not None  # noqa: S101 - it is done; this tells mypy
        facts = item.result.model_dump(mode="json", include={"found", "restored", "warnings"})
        seconds = {name: round(value, 3) for name, value in item.seconds.items()}
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
        self._items.sort(key=lambda item: self._order[item["path"]])
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
            left = self._total - len(self._items)
            people.print(f"Stopped: {left} pictures are left. Run the same command again to go on.")
        people.print("total {total}, success {success}, failed {failed}".format(**counts), style="bold")


async def _all(pictures: Sequence[Path], folder: Path | None, request: JobRequest, report: Report) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from bridge.cli.batch import Picture
    from bridge.cli.bridges import bridge_for
    from bridge.config import Places, load

    places = Places.current()
    wanted = {
        str(number): Picture(str(number), path, folder or path.parent) for number, path in enumerate(pictures)
    }
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notices, transient=True, disable=not notices.is_terminal) as progress:
        task = progress.add_task("Loading the network", total=len(pictures))
        async with bridge_for(places, load(places)) as client:
            progress.update(task, description="Enhancing")
            batch = await _batch(client, request, _fingerprint(pictures, folder, request), wanted)
            try:
                await _work_off(batch, wanted, report, progress, task)
            except asyncio.CancelledError:
                await batch.pause()
                raise


async def _batch(client: Client, request: JobRequest, key: str, wanted: dict[str, Picture]) -> Batch:
    """What a run before left unfinished, else a new batch."""
    from bridge.cli.batch import Batch

    for again in itertools.count():
        batch = Batch(client, request, f"{key}-{again}")
        await batch.open()
        if not batch.is_over(wanted):
            return batch
    raise AssertionError


async def _work_off(
    batch: Batch, wanted: dict[str, Picture], report: Report, progress: Progress, task: TaskID
) -> None:
    from bridge.cli.batch import AHEAD, SETTLED
    from bridge.errors import SourceUnreadable

    waiting = deque(picture for ref, picture in wanted.items() if ref not in batch.known)
    ready = deque(item for item in batch.known.values() if item.state in SETTLED)
    under_way = set(batch.known)
    while waiting or under_way:
        while waiting and len(under_way) - len(ready) < AHEAD:
            picture = waiting.popleft()
            try:
                await batch.give(picture)
                under_way.add(picture.ref)
            except SourceUnreadable as error:
                report.failure(picture.path, error)
                progress.advance(task)
        if not under_way:
            continue
        item = ready.popleft() if ready else await batch.next_settled()
        if item.ref in under_way:  # an event may tell again what the list told
            under_way.remove(item.ref)
            await _settle(batch, item, wanted[item.ref], report)
            progress.advance(task)


async def _settle(batch: Batch, item: ItemState, picture: Picture, report: Report) -> None:
    from bridge.cli.batch import error_of
    from bridge.errors import DiskFull, OutputError, ResultGone

    if item.state != "done":
        report.failure(picture.path, error_of(item))
        return
    try:
        report.done(picture.path, await batch.bring_home(item, picture), item)
    except (DiskFull, OutputError, ResultGone) as error:
        report.failure(picture.path, error)


def _fingerprint(pictures: Sequence[Path], folder: Path | None, request: JobRequest) -> str:
    """The same for the same command on the same, unchanged files."""
    facts = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in pictures]
    told = json.dumps([facts, str(folder and folder.resolve()), request.model_dump(mode="json")])
    return f"enhance-{hashlib.sha256(told.encode()).hexdigest()}"


def job_request(content: dict[str, Any]) -> JobRequest:
    """What the options ask for, as a job without its items."""
    from bridge.errors import InvalidRequest
    from bridge.protocol.jobs import ItemRequest, JobRequest, Source

    nothing = ItemRequest(ref="-", source=Source(path="-"))  # a job has at least one; they come later
    try:
        return JobRequest.parse({**content, "client": "cli", "items": (nothing,)})
    except InvalidRequest as error:
        raise typer.BadParameter(error.detail) from error


def selection(text: str | None) -> str | list[int] | None:
    """`all`, `largest`, or face numbers like `0,2`."""
    numbers = (text or "").split(",")
    return [int(number) for number in numbers] if all(map(str.isdecimal, numbers)) else text
