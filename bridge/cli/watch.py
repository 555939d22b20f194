"""`gpen-bridge watch FOLDER`: enhances what appears in a folder, as it appears.

For tethered shooting and scanners. A file counts once it has stopped growing; the folder is looked at
again and again, which works on network drives too. Every folder has one batch of its own in the store,
in which a picture is named by its name, size and time: what was done before a restart is not done again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.enhance import Slider, batch_name, job_request, output_options, selection
from bridge.cli.interrupts import run
from bridge.cli.report import AsJson, described, notices, people, print_json_line, reported

if TYPE_CHECKING:
    from bridge.cli.batch import Batch, Picture
    from bridge.client import Client
    from bridge.errors import BridgeError
    from bridge.protocol.jobs import ItemState, JobRequest

LOOK_SECONDS = 0.5
STABLE_SECONDS = 2.0
"""A file that did not change for so long is whole: cameras and scanners write without such pauses."""
TRIES = 3
"""How often a result is brought home, a look apart, before its picture has failed."""
AWAY_SECONDS = 60.0
"""How long `--once` waits for a drive that went away; without it, watching waits for ever."""
TIME_STEP_NS = 2_000_000_000
RESULTS = "GPEN"
NO_TEXT = "?bytes"
"""Ends the `ref` of a file whose name is not text, which a `ref` has to be."""


def watch(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Where pictures appear.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", file_okay=False, help=f"Folder for the results; absent: {RESULTS} inside."
        ),
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
    rest: Annotated[
        float, typer.Option(min=0.1, help="Seconds that a file must not change in before it is taken.")
    ] = STABLE_SECONDS,
    once: Annotated[bool, typer.Option("--once", help="Stop when everything that is there is done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Enhance pictures as they appear in a folder, until Ctrl-C. Originals are never changed."""
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
        "name": f"watch {batch_name([folder])}"[:200],
        "params": {name: value for name, value in params.items() if value is not None},
        "output": output_options(format_, depth, quality, "watch/{date}/{stem}-GPEN"),
    }
    with reported(as_json):
        request = job_request(content)
        hot = HotFolder(folder.resolve(), (output or folder / RESULTS).resolve(), as_json, rest=rest)
        try:
            run(_live(hot, request, once))
        except KeyboardInterrupt:
            notices.print("Stopped. Run the same command again to go on.", style="dim")
        if hot.failed:
            raise typer.Exit(1)


class HotFolder:
    """What lies in a folder, and which of it has stopped growing.

    Args:
        rest: seconds in which a whole file does not change.

    Attributes:
        results: where finished pictures go.
        told: how many pictures are at their end, and `failed` how many of them have no result.
    """

    def __init__(
        self, folder: Path, results: Path, as_json: bool = False, *, rest: float = STABLE_SECONDS
    ) -> None:
        self.folder = folder
        self.results = results
        self.told = 0
        self.failed = 0
        self._as_json = as_json
        self._rest = rest
        self._since: dict[str, float] = {}
        self._away_since: float | None = None

    def look(self, now: float) -> tuple[list[Picture], bool]:
        """The pictures that are whole, the oldest first, and whether others are still growing.

        A folder that cannot be read has none: a network drive that is away comes back.

        Args:
            now: monotonic seconds.
        """
        from bridge.cli.batch import Picture, is_picture

        there: list[tuple[int, Picture]] = []
        for path in self._paths():
            try:
                if is_picture(path) and (facts := path.stat()).st_size:
                    ref = str(Seen(path.name, facts.st_size, facts.st_mtime_ns))
                    there.append((facts.st_mtime_ns, Picture(ref, path, self.results)))
            except OSError:
                continue  # gone again, or not ours to read (yet)
        self._away_since = (self._away_since or now) if self.is_away else None
        there.sort(key=lambda found: (found[0], found[1].path))
        self._since = {picture.ref: self._since.get(picture.ref, now) for _, picture in there}
        whole = [picture for _, picture in there if now - self._since[picture.ref] >= self._rest]
        return whole, len(whole) < len(there)

    @property
    def is_away(self) -> bool:
        """Whether the folder's drive is not there."""
        return not self.folder.is_dir()

    def is_lost(self, now: float) -> bool:
        """Whether the drive was away at each look of the last minute; `now` in monotonic seconds."""
        return self._away_since is not None and now - self._away_since >= AWAY_SECONDS

    def tell(self, picture: Path, target: Path | None, error: BridgeError | None = None) -> None:
        """One picture is finished, or has failed."""
        self.told += 1
        self.failed += target is None
        if self._as_json:
            output = None if target is None else str(target)
            why = None if error is None else described(error)
            print_json_line({"path": str(picture), "output": output, "error": why})
        elif target is not None:
            people.print(str(target), markup=False, soft_wrap=True)
        elif error is not None:
            people.print(f"{picture}: {error.detail}", style="red", markup=False, soft_wrap=True)
            people.print(f"  {error.hint}", style="dim", markup=False, soft_wrap=True)

    def _paths(self) -> list[Path]:
        try:
            return list(self.folder.iterdir())
        except OSError:
            return []


@dataclass(frozen=True)
class Seen:
    """A file as it was seen; as text, the `ref` of its picture."""

    name: str
    size: int
    modified: int

    @classmethod
    def parse(cls, ref: str) -> Seen | None:
        """Back from a `ref`; None for one that is not of this kind."""
        match = re.fullmatch(rf"(.+)\?(\d+)-(-?\d+)({re.escape(NO_TEXT)})?", ref, re.DOTALL)
        if match is None:
            return None
        name = os.fsdecode(match[1].encode("latin-1")) if match[4] else match[1]
        return cls(name, int(match[2]), int(match[3]))

    def __str__(self) -> str:
        facts = f"?{self.size}-{self.modified}"
        try:
            self.name.encode()
        except UnicodeEncodeError:
            return os.fsencode(self.name).decode("latin-1") + facts + NO_TEXT  # a character for each byte
        return self.name + facts


class Submitted:
    """Which files were sent before.

    A drive may tell a file's time a little differently after it was mounted again (FAT stores even
    seconds), so times that lie close are the same.
    """

    def __init__(self, refs: Iterable[str]) -> None:
        self._times: dict[tuple[str, int], set[int]] = defaultdict(set)
        for ref in refs:
            self.add(ref)

    def add(self, ref: str) -> None:
        """A file was sent under this name."""
        seen = Seen.parse(ref)
        if seen is not None:
            self._times[seen.name, seen.size].add(seen.modified)

    def __contains__(self, ref: str) -> bool:
        seen = Seen.parse(ref)
        if seen is None:
            return False
        times = self._times.get((seen.name, seen.size), ())
        return any(abs(seen.modified - time) <= TIME_STEP_NS for time in times)


async def _live(hot: HotFolder, request: JobRequest, once: bool) -> None:
    from bridge.cli.batch import Batch, alone
    from bridge.cli.bridges import lasting
    from bridge.config import Places

    told = json.dumps([str(hot.folder), str(hot.results), request.model_dump(mode="json")])
    key = f"watch-{hashlib.sha256(told.encode('utf-8', 'backslashreplace')).hexdigest()}"

    async def on(client: Client) -> None:
        batch = Batch(client, request, key, _heard)
        await batch.open()
        try:
            await batch.sweep(hot.results)
            await _follow(hot, batch, once)
        except asyncio.CancelledError:
            await batch.pause()
            raise
        finally:
            await batch.close()

    with alone(Places.current(), key):
        if not once:
            notices.print(f"Watching {hot.folder}. Stop with Ctrl-C.", style="dim", markup=False)
        await lasting(on, lambda: hot.told)


async def _follow(hot: HotFolder, batch: Batch, once: bool) -> None:
    """Give what is new, bring home what is done, look again."""
    from bridge.cli.batch import AHEAD, SETTLED

    given = Submitted(batch.known)
    settled_before = {ref for ref, item in batch.known.items() if item.state in SETTLED}
    ready = deque(batch.known[ref] for ref in settled_before if _is_owed(batch.known[ref]))
    under_way = batch.known.keys() - settled_before | {item.ref for item in ready}
    failures: Counter[str] = Counter()
    settled: asyncio.Task[ItemState] | None = None
    try:
        while True:
            await _stop_if_cancelled(hot, batch)
            now = asyncio.get_running_loop().time()
            whole, growing = await asyncio.to_thread(hot.look, now)
            new = [picture for picture in whole if picture.ref not in given]
            for picture in new[: max(0, AHEAD - len(under_way))]:
                await _give(hot, batch, picture, given, under_way)
            for _ in range(len(ready)):
                item = ready.popleft()
                if item.ref in under_way:
                    if once and hot.is_lost(now):
                        _leave(hot, item)
                        under_way.remove(item.ref)
                    elif await _settle(hot, batch, item, failures):
                        under_way.remove(item.ref)
                    else:
                        ready.append(item)
            if once and not under_way and not growing and not new:
                return
            settled = settled or asyncio.ensure_future(batch.next_settled())
            await asyncio.wait({settled}, timeout=LOOK_SECONDS)
            if settled.done():
                task, settled = settled, None
                ready.append(task.result())
    finally:
        if settled is not None:
            settled.cancel()
            await asyncio.gather(settled, return_exceptions=True)


async def _stop_if_cancelled(hot: HotFolder, batch: Batch) -> None:
    from bridge.errors import Cancelled

    if batch.cancelled:
        await batch.cancel()  # what was sent before we heard of it
        raise Cancelled(
            f"Somebody cancelled this command's batch; {hot.folder} is watched no more.",
            hint="Run the same command again to go on with what comes from now on.",
        )


async def _give(
    hot: HotFolder, batch: Batch, picture: Picture, given: Submitted, under_way: set[str]
) -> None:
    """Send a picture; one that cannot be sent now is seen again at the next look."""
    from bridge.cli.batch import NOT_TAKEN
    from bridge.errors import DiskFull

    try:
        await batch.give(picture)
        under_way.add(picture.ref)
    except DiskFull as error:
        notices.print(f"Waiting: {error.detail}", style="dim", markup=False)
        return
    except NOT_TAKEN as error:
        if error.retryable or not picture.path.exists():
            return
        hot.tell(picture.path, None, error)
    given.add(picture.ref)


def _is_owed(item: ItemState) -> bool:
    """Whether a run before left a result in the bridge; what failed, it has told."""
    return item.state == "done" and item.acked_at is None


def _leave(hot: HotFolder, item: ItemState) -> None:
    """Give up on a drive; the bridge keeps the result, so the next run brings it home."""
    from bridge.errors import OutputError

    hot.tell(
        _path(hot, item),
        None,
        OutputError(
            f"{hot.folder} went away, and {item.source} waits in the bridge.",
            hint="Bring the drive back and run the same command again.",
        ),
    )


def _path(hot: HotFolder, item: ItemState) -> Path:
    seen = Seen.parse(item.ref)
    return hot.folder / (seen.name if seen else item.source)


async def _settle(hot: HotFolder, batch: Batch, item: ItemState, failures: Counter[str]) -> bool:
    """Bring one picture to its end; False: to be tried again at the next look."""
    from bridge.cli.batch import Picture, error_of
    from bridge.errors import DiskFull, OutputError, ResultGone

    path = _path(hot, item)
    if item.state != "done":
        hot.tell(path, None, error_of(item))
        return True
    if hot.is_away:  # and no folder is made where a drive will be mounted again
        return False
    target, problem = None, None
    try:
        target = await batch.bring_home(item, Picture(item.ref, path, hot.results))
    except (DiskFull, OutputError, ResultGone) as error:
        failures[item.ref] += 1
        if not isinstance(error, ResultGone) and failures[item.ref] < TRIES:
            return False  # the drive may have gone away just now
        problem = error
    if failures.pop(item.ref, 0):
        await batch.sweep(hot.results)
    hot.tell(path, target, problem)  # the last act: nothing is left to do for what was told
    return True


def _heard(event: dict[str, Any]) -> None:
    if event["type"] == "queue" and event.get("waiting"):
        notices.print(f"Waiting: {event['waiting']['detail']}", style="dim", markup=False)
