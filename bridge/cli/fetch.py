"""`gpen-bridge jobs fetch`: brings the results of any batch into a folder, whoever made it.

For batches that a plug-in or a script left in the bridge. A second time only what is not there yet is
fetched; nothing is overwritten, and the bridge keeps what it has.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.report import AsJson, described, people, print_json, reported

if TYPE_CHECKING:
    from bridge.client import Client
    from bridge.protocol.jobs import ItemState


def _id(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z_-]+", text):  # it becomes part of an address
        raise typer.BadParameter("A batch's id is of letters and digits, as `jobs list` shows it.")
    return text


JobId = Annotated[str, typer.Argument(help="As `jobs list` shows it.", callback=_id)]


def fetch(
    job: JobId,
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="Folder for the results.")],
    item: Annotated[
        int | None, typer.Option(min=0, help="Only this picture, numbered as in `jobs show`.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the finished pictures of a batch into a folder, as NAME-GPEN."""
    from bridge.cli.batch import alone
    from bridge.cli.bridges import asked
    from bridge.config import Places

    with reported(as_json), alone(Places.current(), f"fetch-{job}"):
        told = asyncio.run(asked(lambda client: _fetch(client, job, item, output)))
        failed = sum("error" in one for one in told)
        counts = {"total": len(told), "success": len(told) - failed, "failed": failed}
        if as_json:
            print_json({**counts, "items": told})
        else:
            for one in told:
                text = one["error"]["detail"] if "error" in one else one["output"]
                people.print(text, style="red" if "error" in one else "", markup=False, soft_wrap=True)
            people.print("total {total}, success {success}, failed {failed}".format(**counts), style="bold")
        if failed:
            raise typer.Exit(1)


async def _fetch(client: Client, job: str, item: int | None, folder: Path) -> list[dict[str, Any]]:
    """What became of each finished picture.

    Raises:
        ItemNotDone: there is none.
        BridgeError: nothing can be fetched at all.
    """
    from bridge.cli.batch import delivered, targets
    from bridge.client.results import sweep
    from bridge.errors import DiskFull, ItemNotDone, OutputError, ResultGone

    aside = f"fetch-{job}"
    await asyncio.to_thread(sweep, aside, folder)
    told: list[dict[str, Any]] = []
    for found in await _finished(client, job, item):
        if found.result is None:
            raise ItemNotDone(f"Item {found.item} of job {job} is {found.state}.")
        names = [targets(Path(found.source), folder, found.result.media_type) for _ in range(2)]
        try:
            there = await asyncio.to_thread(delivered, names[0], found.result)
            target = there or await client.save_result(job, found.item, found.result, names[1], aside=aside)
            told.append({"item": found.item, "source": found.source, "output": str(target)})
        except (DiskFull, OutputError, ResultGone) as error:
            told.append({"item": found.item, "source": found.source, "error": described(error)})
    return told


async def _finished(client: Client, job: str, item: int | None) -> list[ItemState]:
    from bridge.errors import ItemNotDone

    if item is not None:
        return [await client.item(job, item)]
    found = [one async for one in client.items(job, state="done")]
    if not found:
        raise ItemNotDone(f"Job {job} has no finished picture.")
    return found
