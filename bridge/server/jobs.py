"""Batches: submitted, looked at and steered; serves /v1/jobs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

from aiohttp import web

from bridge.errors import (
    Busy,
    DiskFull,
    IdempotencyConflict,
    InvalidRequest,
    ItemUnknown,
    JobUnknown,
    PathRefused,
    PresetUnknown,
    RightMissing,
    SourceMissing,
    StoreUnavailable,
    UploadIncomplete,
    UploadUnknown,
)
from bridge.jobs.batches import Batches, Submission
from bridge.jobs.runner import Runner
from bridge.jobs.sources import Sources
from bridge.jobs.views import Views
from bridge.presets import Parameters
from bridge.protocol.jobs import (
    DEFAULT_PAGE,
    MAX_PAGE,
    ItemDetail,
    ItemPage,
    ItemRequest,
    ItemsRequest,
    ItemStatus,
    JobList,
    JobRequest,
    JobState,
    JobStatus,
    RetryRequest,
    Verdict,
)
from bridge.server.body import read_question
from bridge.server.guard import CALLER
from bridge.server.lan import LAN, is_loopback
from bridge.server.parameters import Choice, Number, Parameter, Text
from bridge.server.presets import PRESETS
from bridge.server.route import SETTINGS, Route, answer

QUEUE_PAUSE = 30
"""Seconds after which a client with a full queue may look again."""
IDEMPOTENCY_KEY = Text(
    "Idempotency-Key",
    "The same key and body again give the job that is there.",
    pattern=r"[\x21-\x7e]{1,200}",
    form="1 to 200 printable ASCII characters without spaces",
)
AFTER_JOB = Parameter("after", "`next` of the page before.")
AFTER_ITEM = Number("after", "`next` of the page before.", default=-1)
LIMIT = Number("limit", "How many.", low=1, high=MAX_PAGE, default=DEFAULT_PAGE)
JOB_STATE = Choice("state", "Only those that are so.", words=tuple(JobStatus))
ITEM_STATE = Choice("state", "Only those that are so.", words=tuple(ItemStatus))
VERDICT = Choice("review", "Only those whose verdict is so.", words=tuple(Verdict))
KEY = Parameter("key", f"Only the one that this {IDEMPOTENCY_KEY.name} of yours made.")

BATCHES = web.AppKey("batches", Batches)
VIEWS = web.AppKey("views", Views)
SOURCES = web.AppKey("sources", Sources)
RUNNER = web.AppKey("runner", Runner)


async def submit_job(request: web.Request) -> web.StreamResponse:
    """Submit a batch; it is stored before this answers."""
    asked = await read_question(request, JobRequest)
    key = IDEMPOTENCY_KEY.read(request.headers)
    client_id = request[CALLER].client_id
    batches = request.app[BATCHES]
    if key is not None:
        # Before anything is looked up: the sources may be gone by now, and the job is there.
        found = await asyncio.to_thread(batches.find, client_id, key, asked)
        if found is not None:
            return answer(found, status=202)
    await _check_queue(request, asked.items)
    base = await preset_parameters(request, asked.preset)
    names = await _names(request, asked.items)
    assert base is not None  # noqa: S101 - a job always names a preset; this tells mypy
    submission = Submission(asked, client_id, base, names, key)
    state = await asyncio.to_thread(batches.submit, submission)
    request.app[RUNNER].wake()
    return answer(state, status=202)


async def add_items(request: web.Request) -> web.StreamResponse:
    """Add photos to a batch; a `ref` that it has already is left alone."""
    asked = await read_question(request, ItemsRequest)
    job = request.match_info["job"]
    await asyncio.to_thread(request.app[VIEWS].job, job)
    await _check_own(request)
    await _check_queue(request, asked.items)
    names = await _names(request, asked.items)
    state = await asyncio.to_thread(request.app[BATCHES].add, job, asked.items, names)
    request.app[RUNNER].wake()
    return answer(state, status=202)


async def list_jobs(request: web.Request) -> web.StreamResponse:
    """Batches, newest first, by page."""
    state, limit = JOB_STATE.read(request.query), LIMIT.read(request.query)
    after, key = request.query.get(AFTER_JOB.name), request.query.get(KEY.name)
    made_by = None if key is None else (request[CALLER].client_id, key)
    views = request.app[VIEWS]
    found = await asyncio.to_thread(
        lambda: views.jobs(after=after, limit=limit, state=state, made_by=made_by)
    )
    return answer(found)


async def read_job(request: web.Request) -> web.StreamResponse:
    """One batch: state, counts and ETA."""
    return answer(await asyncio.to_thread(request.app[VIEWS].job, request.match_info["job"]))


async def list_items(request: web.Request) -> web.StreamResponse:
    """Photos of a batch, by page."""
    views, job = request.app[VIEWS], request.match_info["job"]
    state, verdict = ITEM_STATE.read(request.query), VERDICT.read(request.query)
    after, limit = AFTER_ITEM.read(request.query), LIMIT.read(request.query)
    page = await asyncio.to_thread(
        lambda: views.items(job, after=after, limit=limit, state=state, verdict=verdict)
    )
    return answer(page)


async def read_item(request: web.Request) -> web.StreamResponse:
    """One photo of a batch, with its faces."""
    return await answer_item(request)


async def cancel_job(request: web.Request) -> web.StreamResponse:
    """Drop what is queued and stop what is worked on."""
    return await _steer_job(request, request.app[BATCHES].cancel)


async def pause_job(request: web.Request) -> web.StreamResponse:
    """Begin nothing more of a batch; what is worked on is finished."""
    return await _steer_job(request, request.app[BATCHES].pause)


async def resume_job(request: web.Request) -> web.StreamResponse:
    """End the pause of a batch."""
    return await _steer_job(request, request.app[BATCHES].resume)


async def retry_job(request: web.Request) -> web.StreamResponse:
    """Run failed photos of a batch again, also with other parameters."""
    asked = await read_question(request, RetryRequest)
    base = await preset_parameters(request, asked.preset)
    return await _steer_job(request, lambda job: request.app[BATCHES].retry(job, asked, base))


async def cancel_item(request: web.Request) -> web.StreamResponse:
    """Drop or stop one photo."""
    return await _steer_item(request, request.app[BATCHES].cancel)


async def pause_item(request: web.Request) -> web.StreamResponse:
    """Let one photo wait until it is resumed."""
    return await _steer_item(request, request.app[BATCHES].pause)


async def resume_item(request: web.Request) -> web.StreamResponse:
    """End the pause of one photo."""
    return await _steer_item(request, request.app[BATCHES].resume)


async def retry_item(request: web.Request) -> web.StreamResponse:
    """Run one failed photo again, also with other parameters."""
    asked = await read_question(request, RetryRequest)
    base = await preset_parameters(request, asked.preset)
    return await _steer_item(request, lambda job, item: request.app[BATCHES].retry(job, asked, base, item))


def item_address(request: web.Request) -> tuple[str, int]:
    """Job and item that an address names.

    Raises:
        ItemUnknown: the item is not a number.
    """
    job, text = request.match_info["job"], request.match_info["item"]
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ItemUnknown(f"Items have numbers; {text} is none.")
    return job, int(text)


async def answer_item(request: web.Request) -> web.StreamResponse:
    """The item that an address names, as it is now."""
    return answer(await asyncio.to_thread(request.app[VIEWS].item, *item_address(request)))


async def preset_parameters(request: web.Request, name: str | None) -> Parameters | None:
    """What a preset holds now; None for no name.

    Raises:
        PresetUnknown: there is none of that name.
    """
    if name is None:
        return None
    return (await asyncio.to_thread(request.app[PRESETS].get, name)).parameters


async def _names(request: web.Request, items: Sequence[ItemRequest]) -> list[str]:
    """The sources' file names; every source that cannot be used is refused now, not at 3 a.m."""
    far = request.app[LAN].took(request) or not is_loopback(request.remote)
    if far and any(item.source.path is not None for item in items):
        raise PathRefused("Only programs on this computer may name files; send uploads instead.")
    sources = request.app[SOURCES]
    return await asyncio.to_thread(lambda: [sources.name_of(item.source) for item in items])


async def _check_own(request: web.Request) -> None:
    """A batch is steered by who sent it, or by who may do everything.

    Raises:
        JobUnknown: there is no such batch.
        RightMissing: it is another client's.
    """
    job, caller = request.match_info["job"], request[CALLER]
    if "admin" in caller.rights:
        return
    if await asyncio.to_thread(request.app[VIEWS].client_of, job) != caller.client_id:
        raise RightMissing(f"The job {job} is another client's.")


async def _check_queue(request: web.Request, items: Sequence[ItemRequest]) -> None:
    """One client's queue is bounded.

    Raises:
        Busy: it is full.
    """
    queues = await asyncio.to_thread(request.app[VIEWS].queue_by_client)
    waiting = queues.get(request[CALLER].client_id, {}).get("queued", 0)
    most = request.app[SETTINGS].client_items
    if waiting + len(items) > most:
        raise Busy(
            f"{waiting} photos of this client wait; with {len(items)} more they would pass {most}.",
            retry_after=QUEUE_PAUSE,
        )


async def _steer_job(request: web.Request, verb: Callable[[str], None]) -> web.StreamResponse:
    await _check_own(request)
    job = request.match_info["job"]
    await asyncio.to_thread(verb, job)
    request.app[RUNNER].wake()
    return answer(await asyncio.to_thread(request.app[VIEWS].job, job))


async def _steer_item(request: web.Request, verb: Callable[[str, int], None]) -> web.StreamResponse:
    await _check_own(request)
    await asyncio.to_thread(verb, *item_address(request))
    request.app[RUNNER].wake()
    return await answer_item(request)


STORE_ERRORS = (StoreUnavailable, DiskFull)
ITEM_ERRORS = (JobUnknown, ItemUnknown, *STORE_ERRORS)
_SOURCE_ERRORS = (InvalidRequest, PathRefused, SourceMissing, UploadUnknown, UploadIncomplete)
ITEM = "/v1/jobs/{job}/items/{item}"

ROUTES = (
    Route(
        "POST",
        "/v1/jobs",
        submit_job,
        takes=JobRequest,
        gives=JobState,
        status=202,
        errors=(*_SOURCE_ERRORS, Busy, PresetUnknown, IdempotencyConflict, *STORE_ERRORS),
        headers=(IDEMPOTENCY_KEY,),
    ),
    Route(
        "GET",
        "/v1/jobs",
        list_jobs,
        gives=JobList,
        query=(AFTER_JOB, LIMIT, JOB_STATE, KEY),
        errors=(InvalidRequest, JobUnknown, StoreUnavailable),
    ),
    Route("GET", "/v1/jobs/{job}", read_job, gives=JobState, errors=(JobUnknown, StoreUnavailable)),
    Route("POST", "/v1/jobs/{job}/cancel", cancel_job, gives=JobState, errors=(JobUnknown, *STORE_ERRORS)),
    Route("POST", "/v1/jobs/{job}/pause", pause_job, gives=JobState, errors=(JobUnknown, *STORE_ERRORS)),
    Route("POST", "/v1/jobs/{job}/resume", resume_job, gives=JobState, errors=(JobUnknown, *STORE_ERRORS)),
    Route(
        "POST",
        "/v1/jobs/{job}/retry",
        retry_job,
        takes=RetryRequest,
        gives=JobState,
        errors=(InvalidRequest, JobUnknown, PresetUnknown, *STORE_ERRORS),
    ),
    Route(
        "POST",
        "/v1/jobs/{job}/items",
        add_items,
        takes=ItemsRequest,
        gives=JobState,
        status=202,
        errors=(*_SOURCE_ERRORS, Busy, JobUnknown, *STORE_ERRORS),
    ),
    Route(
        "GET",
        "/v1/jobs/{job}/items",
        list_items,
        gives=ItemPage,
        query=(AFTER_ITEM, LIMIT, ITEM_STATE, VERDICT),
        errors=(InvalidRequest, JobUnknown, StoreUnavailable),
    ),
    Route("GET", ITEM, read_item, gives=ItemDetail, errors=ITEM_ERRORS),
    Route("POST", f"{ITEM}/cancel", cancel_item, gives=ItemDetail, errors=ITEM_ERRORS),
    Route("POST", f"{ITEM}/pause", pause_item, gives=ItemDetail, errors=ITEM_ERRORS),
    Route("POST", f"{ITEM}/resume", resume_item, gives=ItemDetail, errors=ITEM_ERRORS),
    Route(
        "POST",
        f"{ITEM}/retry",
        retry_item,
        takes=RetryRequest,
        gives=ItemDetail,
        errors=(InvalidRequest, PresetUnknown, *ITEM_ERRORS),
    ),
)
