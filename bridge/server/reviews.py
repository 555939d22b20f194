"""A person's verdict on a finished photo, and what verdicts add up to; serves /v1/reviews."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bridge.errors import InvalidRequest, ItemNotDone, PresetUnknown, StoreUnavailable
from bridge.jobs.reviews import Reviews
from bridge.protocol.reviews import ReviewRequest, ReviewResult, ReviewSummary
from bridge.server.body import read_question
from bridge.server.clients import CLIENTS
from bridge.server.guard import CALLER
from bridge.server.jobs import ITEM, ITEM_ERRORS, RUNNER, item_address, preset_parameters
from bridge.server.route import Route, answer

REVIEWS = web.AppKey("reviews", Reviews)
CSV = "text/csv"


async def review_item(request: web.Request) -> web.StreamResponse:
    """Accept, reject, or send again with other parameters."""
    asked = await read_question(request, ReviewRequest)
    job, item = item_address(request)
    base = await preset_parameters(request, asked.preset)
    by = request.app[CLIENTS].name_of(request[CALLER])
    reviews = request.app[REVIEWS]
    result = await asyncio.to_thread(lambda: reviews.review(job, item, asked, by=by, base=base))
    request.app[RUNNER].wake()
    return answer(result)


async def read_reviews(request: web.Request) -> web.StreamResponse:
    """Acceptance by preset."""
    return answer(await asyncio.to_thread(request.app[REVIEWS].summary))


async def export_reviews(request: web.Request) -> web.StreamResponse:
    """Every finished photo with its verdict, as CSV."""
    response = web.StreamResponse(
        headers={"Content-Disposition": 'attachment; filename="reviews.csv"'},
    )
    response.content_type, response.charset = CSV, "utf-8"
    pieces = request.app[REVIEWS].csv()
    first = await asyncio.to_thread(next, pieces, None)  # a store that fails does so before the headers
    await response.prepare(request)
    piece = first
    while piece is not None:
        await response.write(piece)
        piece = await asyncio.to_thread(next, pieces, None)
    await response.write_eof()
    return response


ROUTES = (
    Route(
        "POST",
        f"{ITEM}/review",
        review_item,
        takes=ReviewRequest,
        gives=ReviewResult,
        needs="review",
        errors=(InvalidRequest, *ITEM_ERRORS, ItemNotDone, PresetUnknown),
    ),
    Route("GET", "/v1/reviews", read_reviews, gives=ReviewSummary, errors=(StoreUnavailable,)),
    Route("GET", "/v1/reviews.csv", export_reviews, gives=CSV, errors=(StoreUnavailable,)),
)
