"""`gpen-bridge jobs`: look at batches and steer them, whether or not a bridge runs."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.markup import escape

from bridge.cli.fetch import JobId, fetch
from bridge.cli.report import AsJson, people, print_bytes, print_json, print_json_line, reported

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bridge.client import Client, Verb
    from bridge.protocol.jobs import ItemState, JobState

app = typer.Typer(help="Batches: list, watch, cancel, retry, fetch, export.", no_args_is_help=True)
app.command("fetch")(fetch)

Item = Annotated[int | None, typer.Option(min=0, help="Only this picture, numbered as in `jobs show`.")]
T = TypeVar("T")

OVER = ("finished", "cancelled")


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the newest batches."""
    from rich.table import Column, Table

    with reported(as_json):
        found = _ask(lambda client: client.jobs(limit=limit))
        if as_json:
            _print(found)
            return
        job_, begun = Column("job", no_wrap=True), Column("begun", no_wrap=True)  # copied; read at a glance
        table = Table(job_, begun, "name", "state", "done", "failed", "left")
        for job in found.jobs:
            what = (_begun(job), escape(job.name or job.client), _state(job))
            counts = (f"{job.counts.done} of {job.counts.total}", str(job.counts.failed))
            table.add_row(job.job, *what, *counts, _left(job))
        if found.jobs or not found.unreadable:
            people.print(table if found.jobs else "There are no batches.")
        for unreadable in found.unreadable:
            people.print(f"The record of batch {unreadable} is damaged; its pictures are done all the same.")


@app.command()
def show(job: JobId, as_json: AsJson = False) -> None:
    """Show one batch and its pictures."""
    with reported(as_json):
        told, items = _ask(lambda client: _job_and_items(client, job))
        if as_json:
            content = told.model_dump(mode="json", exclude_none=True)
            print_json({**content, "items": [_plain(item) for item in items]})
            return
        _tell(told)
        for item in items:
            _tell_item(item)


@app.command()
def watch(job: JobId, as_json: AsJson = False) -> None:
    """Follow a batch until it is finished; leaving changes nothing. Somebody has to work on it: a bridge."""
    with reported(as_json):
        try:
            told = _ask(lambda client: client.job(job))
            if told.state not in OVER:
                told = asyncio.run(_follow_running(job, as_json))
        except KeyboardInterrupt:
            raise typer.Exit(1) from None
        if not as_json:
            _tell(told)
        if told.counts.failed:
            raise typer.Exit(1)


@app.command()
def cancel(job: JobId, item: Item = None, as_json: AsJson = False) -> None:
    """Stop a batch: what is finished stays, the rest is dropped."""
    _steer(job, item, "cancel", as_json)


@app.command()
def pause(job: JobId, item: Item = None, as_json: AsJson = False) -> None:
    """Begin nothing more of a batch."""
    _steer(job, item, "pause", as_json)


@app.command()
def resume(job: JobId, item: Item = None, as_json: AsJson = False) -> None:
    """Go on with a paused batch."""
    _steer(job, item, "resume", as_json)


@app.command()
def retry(
    job: JobId,
    item: Item = None,
    preset: Annotated[str | None, typer.Option(help="Start from another preset.")] = None,
    strength: Annotated[int | None, typer.Option(min=0, max=100)] = None,
    denoise: Annotated[int | None, typer.Option(min=0, max=100)] = None,
    sharpen: Annotated[int | None, typer.Option(min=0, max=100)] = None,
    mode: Annotated[str | None, typer.Option(help="natural, detail or strong.")] = None,
    cancelled: Annotated[bool, typer.Option("--cancelled", help="The cancelled ones too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the failed pictures of a batch again, also with other parameters."""
    from bridge.errors import InvalidRequest
    from bridge.protocol.jobs import RetryRequest

    sliders = {"strength": strength, "denoise": denoise, "sharpen": sharpen, "mode": mode}
    params = {name: value for name, value in sliders.items() if value is not None}
    states = ("failed", "cancelled") if cancelled else ("failed",)
    try:
        asked = RetryRequest.parse({"states": states, "preset": preset, "params": params})
    except InvalidRequest as error:
        raise typer.BadParameter(error.detail) from error
    with reported(as_json):
        if item is None:
            _show(_ask(lambda client: client.retry(job, asked)), as_json)
        else:
            _show(_ask(lambda client: client.retry_item(job, item, asked)), as_json)


@app.command()
def export(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; absent: standard output.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write every finished picture with its verdict as CSV; with --json to standard output, as JSON."""
    from bridge.atomic import write_file

    with reported(as_json):
        content = _ask(lambda client: client.reviews_csv())
        if output is None:
            if as_json:
                print_json({"items": list(csv.DictReader(io.StringIO(content.decode(), newline="")))})
            else:
                print_bytes(content)
            return
        write_file(output, content)
        if as_json:
            print_json({"output": str(output), "lines": content.count(b"\n")})
        else:
            people.print(f"{output}", markup=False, soft_wrap=True)


@app.command()
def tidy(
    delete: Annotated[bool, typer.Option("--delete", help="Do it; else it is only shown.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what the bridge may delete of its own files, or delete it."""
    with reported(as_json):
        told = _ask(lambda client: client.tidy(dry_run=not delete))
        if as_json:
            _print(told)
            return
        for file in told.files:
            people.print(f"{file.folder}/{file.name}  {file.bytes / 1e6:.1f} MB  {file.reason}", markup=False)
        verb = "deleted" if delete else "would go"
        people.print(
            f"{len(told.files)} files, {told.bytes / 1e9:.2f} GB {verb}; {told.free_bytes / 1e9:.1f} GB free."
        )


@app.command()
def audit(as_json: AsJson = False) -> None:
    """Check that no line of the audit log was changed, removed or inserted."""
    from bridge.config import Places
    from bridge.jobs.audit import verify

    with reported(as_json):
        folder = Places.current().audit
        lines = verify(folder)
        if as_json:
            print_json({"folder": str(folder), "lines": lines, "intact": True})
        else:
            people.print(f"{lines} lines, all as they were written.")


def _ask(question: Callable[[Client], Awaitable[T]]) -> T:
    from bridge.cli.bridges import asked

    return asyncio.run(asked(question))


def _steer(job: str, item: int | None, verb: Verb, as_json: bool) -> None:
    with reported(as_json):
        if item is None:
            _show(_ask(lambda client: client.steer(job, verb)), as_json)
        else:
            _show(_ask(lambda client: client.steer_item(job, item, verb)), as_json)


def _show(told: JobState | ItemState, as_json: bool) -> None:
    from bridge.protocol.jobs import JobState

    if as_json:
        _print(told)
    elif isinstance(told, JobState):
        _tell(told)
    else:
        _tell_item(told)


async def _job_and_items(client: Client, job: str) -> tuple[JobState, list[ItemState]]:
    told = await client.job(job)
    return told, [item async for item in client.items(job)]


async def _follow_running(job: str, as_json: bool) -> JobState:
    from bridge.client import Client
    from bridge.config import Places

    async with Client.from_announcement(Places.current()) as client:
        return await _follow(client, job, as_json)


async def _follow(client: Client, job: str, as_json: bool) -> JobState:
    from bridge.protocol.jobs import ItemState, JobState

    events = client.events()
    await anext(events)  # from here on nothing is missed
    told = await client.job(job)
    while told.state not in OVER:
        event = await anext(events, None)
        if event is None:
            break
        if event.get("job") != job:
            continue
        if as_json:
            print_json_line(event)
        if event["type"] == "job":
            told = JobState.model_validate(event["state"])
        elif event["type"] == "item" and not as_json:
            _tell_item(ItemState.model_validate(event["state"]))
    return told


def _tell(job: JobState) -> None:
    counts = job.counts
    people.print(
        f"[bold]{job.job}[/] {_begun(job)}, {escape(job.preset)}, {_state(job)}: {counts.done} done,"
        f" {counts.failed} failed, {counts.cancelled} cancelled,"
        f" {counts.queued + counts.leased} left of {counts.total} {_left(job)}"
    )
    if job.waiting:
        people.print(f"Waiting: {job.waiting.detail}", style="yellow", markup=False)


def _tell_item(item: ItemState) -> None:
    where = item.result.path if item.result else ""
    what = f"{item.error.detail} {item.error.hint}" if item.error else item.stage or ""
    style = {"failed": "red", "done": "green"}.get(item.state, "")
    people.print(
        f"{item.item:>5}  {item.state:<9}  {item.source}  {where}{what}",
        style=style,
        markup=False,
        soft_wrap=True,
    )


def _state(job: JobState) -> str:
    return f"{job.state} (waiting: {job.waiting.code})" if job.waiting else str(job.state)


def _begun(job: JobState) -> str:
    """When it was sent, on this computer's clock."""
    return datetime.fromisoformat(job.created_at).astimezone().strftime("%m-%d %H:%M")


def _left(job: JobState) -> str:
    if job.eta is None:
        return ""
    low, high = (f"{seconds / 60:.0f}" for seconds in (job.eta.low, job.eta.high))
    return f"{low} to {high} min"


def _print(model: BaseModel) -> None:
    print_json(_plain(model))


def _plain(model: BaseModel) -> Any:
    return model.model_dump(mode="json", exclude_none=True)
