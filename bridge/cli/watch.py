"""`gpen-bridge watch FOLDER`: enhances what appears in a folder, as it appears.

For tethered shooting and scanners. A file counts once it has stopped growing. Every folder has one
batch of its own in the store, in which a picture is named by its name, size and time: what was done
before a restart is not done again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.enhance import Slider, job_request, selection
from bridge.cli.report import AsJson, notices, people, print_json, reported

if TYPE_CHECKING:
    from bridge.cli.batch import Batch, Picture
    from bridge.protocol.jobs import ItemState, JobRequest

LOOK_SECONDS = 0.5
STABLE_SECONDS = 2.0
"""A file that did not change for so long is whole: cameras and scanners write without such pauses."""
RESULTS = "GPEN"


def watch(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Where pictures appear.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=f"Folder for the results; absent: {RESULTS} inside.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Where the parameters start from.")] = "default",
    strength: Slider = None,
    denoise: Slider = None,
    sharpen: Slider = None,
    mode: Annotated[str | None, typer.Option(help="natural, detail or strong.")] = None,
    select: Annotated[str | None, typer.Option(help="all, largest, or face numbers like 0,2.")] = None,
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
    }
    content = {
        "preset": preset,
        "name": f"watch {folder.name}",
        "params": {name: value for name, value in params.items() if value is not None},
        "output": {"template": "watch/{date}/{stem}-GPEN"},
    }
    with reported(as_json):
        request = job_request(content)
        hot = HotFolder(folder.resolve(), (output or folder / RESULTS).resolve(), as_json)
        try:
            asyncio.run(_live(hot, request, once))
        except KeyboardInterrupt:
            notices.print("Stopped. Run the same command again to go on.", style="dim")
        if hot.failed:
            raise typer.Exit(1)


class HotFolder:
    """What lies in a folder, and which of it has stopped growing.

    Attributes:
        results: where finished pictures go.
        failed: how many pictures could not be enhanced.
    """

    def __init__(self, folder: Path, results: Path, as_json: bool = False) -> None:
        self.folder = folder
        self.failed = 0
        self.results = results
        self._as_json = as_json
        self._since: dict[str, float] = {}

    def look(self, now: float) -> tuple[list[Picture], bool]:
        """The pictures that are whole, and whether others are still growing.

        Args:
            now: monotonic seconds.
        """
        from bridge.cli.batch import Picture, is_picture

        there: dict[str, Picture] = {}
        for path in sorted(self.folder.iterdir()):
            try:
                if is_picture(path):
                    facts = path.stat()
                    ref = f"{path.name}?{facts.st_size}-{facts.st_mtime_ns}"
                    there[ref] = Picture(ref, path, self.results)
            except OSError:
                continue  # gone again, or not ours to read (yet)
        self._since = {ref: self._since.get(ref, now) for ref in there}
        whole = [picture for ref, picture in there.items() if now - self._since[ref] >= STABLE_SECONDS]
        return whole, len(whole) < len(there)

    def tell(self, picture: Path, item: ItemState, target: Path | None) -> None:
        """One picture is finished, or has failed."""
        self.failed += target is None
        if self._as_json:
            error = item.error.model_dump(mode="json") if item.error and target is None else None
            print_json({"path": str(picture), "output": target and str(target), "error": error})
        elif target is not None:
            people.print(str(target), markup=False, soft_wrap=True)
        else:
            why = item.error.detail if item.error else str(item.state)
            people.print(f"{picture}: {why}", style="red", markup=False, soft_wrap=True)


async def _live(hot: HotFolder, request: JobRequest, once: bool) -> None:
    from bridge.cli.batch import Batch
    from bridge.cli.bridges import bridge_for
    from bridge.config import Places, load

    places = Places.current()
    async with bridge_for(places, load(places)) as client:
        told = json.dumps([str(hot.folder), str(hot.results), request.model_dump(mode="json")])
        batch = Batch(client, request, f"watch-{hashlib.sha256(told.encode()).hexdigest()}")
        await batch.open()
        if not once:
            notices.print(f"Watching {hot.folder}. Stop with Ctrl-C.", style="dim", markup=False)
        try:
            await _follow(hot, batch, once)
        except asyncio.CancelledError:
            await batch.pause()
            raise


async def _follow(hot: HotFolder, batch: Batch, once: bool) -> None:
    """Give what is new, bring home what is done, look again."""
    from bridge.cli.batch import AHEAD, SETTLED
    from bridge.errors import SourceUnreadable

    given = set(batch.known)
    under_way = {ref for ref, item in batch.known.items() if not (item.state in SETTLED and item.acked_at)}
    ready = [item for ref, item in batch.known.items() if ref in under_way and item.state in SETTLED]
    under_way -= {item.ref for item in ready if item.state != "done"}  # told by the run before
    settled: asyncio.Task[ItemState] | None = None
    try:
        while True:
            whole, growing = await asyncio.to_thread(hot.look, asyncio.get_running_loop().time())
            new = [picture for picture in whole if picture.ref not in given]
            for picture in new[: max(0, AHEAD - len(under_way))]:
                try:
                    await batch.give(picture)
                except SourceUnreadable:
                    continue  # it may be readable at the next look
                given.add(picture.ref)
                under_way.add(picture.ref)
            for item in [item for item in ready if item.ref in under_way]:
                under_way.remove(item.ref)
                await _settle(hot, batch, item)
            ready = []
            if once and not under_way and not growing and not new:
                return
            settled = settled or asyncio.ensure_future(batch.next_settled())
            await asyncio.wait({settled}, timeout=LOOK_SECONDS)
            if settled.done():
                ready, settled = [settled.result()], None
    finally:
        if settled is not None:
            settled.cancel()


async def _settle(hot: HotFolder, batch: Batch, item: ItemState) -> None:
    from bridge.cli.batch import Picture
    from bridge.errors import DiskFull, OutputError, ResultGone

    path = hot.folder / item.ref.rpartition("?")[0]
    target = None
    if item.state == "done":
        try:
            target = await batch.bring_home(item, Picture(item.ref, path, hot.results))
        except (DiskFull, OutputError, ResultGone) as error:
            notices.print(f"{error.detail} {error.hint}", style="red", markup=False)
    hot.tell(path, item, target)
