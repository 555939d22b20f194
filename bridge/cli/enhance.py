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

from bridge.cli.interrupts import run
from bridge.cli.report import AsJson, described, notices, people, print_json, reported, tell
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from rich.progress import Progress

    from bridge.cli.batch import Batch, Picture
    from bridge.client import Client
    from bridge.protocol.jobs import ItemState, JobRequest

Slider = Annotated[int | None, typer.Option(min=0, max=100, help="0 to 100; absent: the preset's.")]


def enhance(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Pictures, or folders of them.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", file_okay=False, help="Folder for the results; absent: beside each."),
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
        "name": batch_name(paths),
        "params": {name: value for name, value in params.items() if value is not None},
        "output": output_options(format_, depth, quality, "cli/{date}/{stem}-GPEN"),
    }
    with reported(as_json):
        request = job_request(content)
        pictures = chosen(paths)
        for told in left_out(paths):
            notices.print(told, style="yellow", markup=False, soft_wrap=True)
        report = Report(as_json, pictures)
        try:
            run(_all(pictures, output, request, report))
        except KeyboardInterrupt:
            report.interrupted = True
        except BridgeError as error:
            if not len(report):
                raise
            report.problem = error  # what is done is told all the same
        report.show()
        if report.failed or report.interrupted or report.problem:
            raise typer.Exit(1)


def batch_name(paths: Sequence[Path]) -> str:
    """What the batch is called in lists."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    name = paths[0].resolve().name.encode("utf-8", "replace").decode()  # a name need not be text
    return f"{name[: 200 - len(more)]}{more}"


def expanded(paths: Sequence[Path]) -> list[Path]:
    """Files as they are; of a folder the pictures directly in it, but not our own results.

    Nor a result that is named beside its original: that was a shell, which names all of a folder.
    """
    found = _named(paths)
    results = _made_of_others(found)
    return [path for path in found if path not in results]


def _named(paths: Sequence[Path]) -> list[Path]:
    from bridge.cli.batch import is_picture

    found: list[Path] = []
    for path in paths:
        found += sorted(filter(is_picture, path.iterdir())) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


def _made_of_others(pictures: Sequence[Path]) -> set[Path]:
    """Those that have the names of results of others among them."""
    from bridge.cli.batch import MARK, OWN_RESULT, is_result, result_stem

    made = {(path.parent, result_stem(path)) for path in pictures}
    marked = [path for path in pictures if is_result(path)]
    return {path for path in marked if (path.parent, OWN_RESULT.sub(MARK, path.stem)) in made}


def chosen(paths: Sequence[Path]) -> list[Path]:
    """The pictures that are meant.

    Raises:
        NothingToDo: there is none.
    """
    from bridge.cli.batch import PICTURES
    from bridge.errors import NothingToDo

    pictures = expanded(paths)
    if not pictures:
        known = ", ".join(sorted(kind.removeprefix(".") for kind in PICTURES))
        raise NothingToDo(f"There is no picture in {', '.join(map(str, paths))} ({known}).")
    return pictures


def left_out(paths: Sequence[Path]) -> list[str]:
    """A sentence for each folder with files of kinds that are not read, and one for results of ours."""
    from bridge.cli.batch import is_result

    told: list[str] = []
    if results := _made_of_others(_named(paths)):
        names = "1 result" if len(results) == 1 else f"{len(results)} results"
        told.append(f"Left out: {names} of pictures that are named too.")
    for folder in filter(Path.is_dir, paths):
        others = [
            path
            for path in set(folder.iterdir()) - set(expanded([folder]))
            if path.is_file() and not path.name.startswith((".", "~")) and not is_result(path)
        ]
        if others:
            kinds = ", ".join(sorted({path.suffix.lower() or path.name for path in others}))
            files = "1 file" if len(others) == 1 else f"{len(others)} files"
            told.append(f"Only JPEG, PNG, TIFF and WebP are read; left out of {folder}: {files} ({kinds}).")
    return told


class Report:
    """What happened to each picture, shown as it happens and summed up at the end.

    Attributes:
        interrupted: it was stopped, here or on the bridge, before everything was done.
        problem: what ended it before everything was done.
    """

    def __init__(self, as_json: bool, pictures: Sequence[Path]) -> None:
        self._as_json = as_json
        self._total = len(pictures)
        self._order = {str(path): number for number, path in enumerate(pictures)}
        self._items: list[dict[str, Any]] = []
        self._told: set[str] = set()
        self.interrupted = False
        self.problem: BridgeError | None = None

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The pictures that failed, each with its error."""
        return [item for item in self._items if "error" in item]

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, source: Path) -> bool:
        return str(source) in self._told

    def done(self, source: Path, target: Path, item: ItemState) -> None:
        """One picture is finished and written."""
        assert item.result is not None  # noqa: S101 - it is done; this tells mypy
        facts = item.result.model_dump(mode="json", include={"found", "restored", "warnings"})
        seconds = {name: round(value, 3) for name, value in item.seconds.items()}
        self._told.add(str(source))
        self._items.append({"path": str(source), "output": str(target), "seconds": seconds, **facts})

    def failure(self, source: Path, error: BridgeError) -> None:
        """One picture failed; the others go on."""
        self._told.add(str(source))
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
            ended = {"error": described(self.problem)} if self.problem else {}
            print_json({**counts, "interrupted": self.interrupted, **ended, "items": self._items})
            return
        for item in self._items:
            if "output" in item:
                people.print(
                    f"{item['output']}  ({_faces(item['restored'], item['found'])})",
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
        if self.problem:
            tell(self.problem)
        if self.interrupted or self.problem:
            left = self._total - len(self._items)
            rest = "1 picture is" if left == 1 else f"{left} pictures are"
            people.print(f"Stopped: {rest} left. Run the same command again to go on.")
        people.print("total {total}, success {success}, failed {failed}".format(**counts), style="bold")


def _faces(restored: int, found: int) -> str:
    if not found:
        return "no face found"
    return f"{restored} of {found} {'face' if found == 1 else 'faces'}"


async def _all(pictures: Sequence[Path], folder: Path | None, request: JobRequest, report: Report) -> None:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from bridge.cli.batch import Picture, alone
    from bridge.cli.bridges import lasting
    from bridge.config import Places

    wanted = {
        str(number): Picture(str(number), path, folder or path.parent) for number, path in enumerate(pictures)
    }
    key = _fingerprint(pictures, folder, request)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=notices, transient=True, disable=not notices.is_terminal)
    with alone(Places.current(), key), bar as progress:
        work = _Work(wanted, request, key, report, progress)
        await lasting(work.on, lambda: len(report))


class _Work:
    """What is asked for, worked off on one bridge after another if need be."""

    def __init__(
        self,
        wanted: dict[str, Picture],
        request: JobRequest,
        key: str,
        report: Report,
        progress: Progress,
    ) -> None:
        self._wanted = wanted
        self._request = request
        self._keys = (f"{key}-{again}" for again in itertools.count())
        self._key = ""
        self._report = report
        self._progress = progress
        self._bar = progress.add_task("Loading the network", total=len(wanted))

    async def on(self, client: Client) -> None:
        """Work off what nothing was told about yet; a stop pauses the batch."""
        self._progress.update(self._bar, description="Enhancing")
        batch = await self._batch(client)
        try:
            for folder in {picture.folder for picture in self._wanted.values()}:
                await batch.sweep(folder)
            await self._work_off(batch)
        except asyncio.CancelledError:
            await batch.pause()
            raise
        finally:
            await batch.close()

    async def _batch(self, client: Client) -> Batch:
        """What a run before left unfinished, else a new batch."""
        from bridge.cli.batch import Batch

        while True:
            begun = bool(self._key)  # on the bridge before; then it is ours, finished or not
            self._key = self._key or next(self._keys)
            batch = Batch(client, self._request, self._key, self._heard)
            await batch.open()
            if begun or not batch.is_over(self._wanted):
                return batch
            await batch.close()
            self._key = ""

    async def _work_off(self, batch: Batch) -> None:
        from bridge.cli.batch import AHEAD, DISK_PAUSE, NOT_TAKEN, SETTLED
        from bridge.errors import DiskFull

        open_ = {ref: picture for ref, picture in self._wanted.items() if picture.path not in self._report}
        known = {ref: item for ref, item in batch.known.items() if ref in open_}
        ready = deque(item for item in known.values() if item.state == "done")
        waiting = deque(
            ref for ref in open_ if ref not in known or known[ref].state in ("failed", "cancelled")
        )
        under_way = {ref for ref, item in known.items() if item.state == "done" or item.state not in SETTLED}
        while waiting or under_way:
            if batch.cancelled and waiting:
                self._report.interrupted = True
                waiting.clear()
                await batch.cancel()  # what was sent before we heard of it
                continue
            full = False
            while waiting and not full and len(under_way) - len(ready) < AHEAD:
                ref = waiting.popleft()
                try:
                    await (batch.again if ref in known else batch.give)(open_[ref])
                    under_way.add(ref)
                except NOT_TAKEN as error:
                    self._tell_failure(open_[ref], error)
                except DiskFull as error:  # not the picture's fault, and it heals
                    waiting.appendleft(ref)
                    self._say_waiting(error.detail)
                    full = True
            if not under_way:
                await asyncio.sleep(DISK_PAUSE if full else 0)
                continue
            item = ready.popleft() if ready else await batch.next_settled()
            if item.ref in under_way:  # an event may tell again what the list told
                under_way.remove(item.ref)
                if not await self._settle(batch, item, open_[item.ref]):
                    waiting.append(item.ref)
                    known.pop(item.ref, None)

    async def _settle(self, batch: Batch, item: ItemState, picture: Picture) -> bool:
        """Take a picture to its end; False: nothing is left of its result, and it is to be done again."""
        from bridge.cli.batch import error_of
        from bridge.errors import DiskFull, OutputError, ResultGone

        if item.state != "done":
            self._tell_failure(picture, error_of(item))
            return True
        try:
            self._report.done(picture.path, await batch.bring_home(item, picture), item)
            self._progress.advance(self._bar)
        except ResultGone:
            return False
        except (DiskFull, OutputError) as error:
            self._tell_failure(picture, error)
        return True

    def _tell_failure(self, picture: Picture, error: BridgeError) -> None:
        self._report.failure(picture.path, error)
        self._progress.advance(self._bar)

    def _heard(self, event: dict[str, Any]) -> None:
        if event["type"] == "stage":
            self._progress.update(self._bar, description=f"Enhancing: {event['stage']}")
        elif event["type"] == "queue" and event.get("waiting"):
            self._say_waiting(event["waiting"]["detail"])

    def _say_waiting(self, why: str) -> None:
        self._progress.update(self._bar, description=f"Waiting: {why}")
        if self._progress.disable:
            notices.print(f"Waiting: {why}", style="dim", markup=False)


def _fingerprint(pictures: Sequence[Path], folder: Path | None, request: JobRequest) -> str:
    """The same for the same command on the same, unchanged files."""
    facts = [(str(path.resolve()), *_size_and_time(path)) for path in pictures]
    told = json.dumps([facts, str(folder and folder.resolve()), request.model_dump(mode="json")])
    return f"enhance-{hashlib.sha256(told.encode('utf-8', 'backslashreplace')).hexdigest()}"


def _size_and_time(path: Path) -> tuple[int, int]:
    """Of a file that may have gone since it was listed; then it fails in its turn."""
    try:
        facts = path.stat()
    except OSError:
        return 0, 0
    return facts.st_size, facts.st_mtime_ns


def job_request(content: dict[str, Any]) -> JobRequest:
    """What the options ask for, as a job without its items."""
    from bridge.errors import InvalidRequest
    from bridge.protocol.jobs import ItemRequest, JobRequest, Source

    nothing = ItemRequest(ref="-", source=Source(path="-"))  # a job has at least one; they come later
    try:
        return JobRequest.parse({**content, "client": "cli", "items": (nothing,)})
    except InvalidRequest as error:
        raise typer.BadParameter(error.detail) from error


def output_options(format_: str, depth: str, quality: int, template: str) -> dict[str, Any]:
    """How results are written, as the options say it; checked with the rest of the request."""
    if format_ == "frame":
        raise typer.BadParameter("output.format: frames are for programs; ask for a file.")
    bits = int(depth) if depth.isdecimal() else depth
    return {"format": format_, "depth": bits, "quality": quality, "template": template}


def selection(text: str | None) -> str | list[int] | None:
    """`all`, `largest`, or face numbers like `0,2`."""
    numbers = (text or "").split(",")
    return [int(number) for number in numbers] if all(map(str.isdecimal, numbers)) else text
