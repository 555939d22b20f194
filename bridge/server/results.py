"""What became of a photo: its file, a small picture of it, and that it was written back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from bridge.errors import (
    ImageError,
    InvalidRequest,
    ItemNotDone,
    PathRefused,
    ResultGone,
    SourceMissing,
    SourceUnreadable,
)
from bridge.jobs.outputs import Outputs
from bridge.jobs.previews import DEFAULT_SIZE, MAX_SIZE, MIN_SIZE, Previews, Side
from bridge.protocol import frame
from bridge.protocol.jobs import ItemState
from bridge.server.enhance import FILE_TYPES
from bridge.server.jobs import BATCHES, ITEM, ITEM_ERRORS, VIEWS, item_address
from bridge.server.parameters import Choice, Number
from bridge.server.route import Route, answer

OUTPUTS = web.AppKey("outputs", Outputs)
PREVIEWS = web.AppKey("previews", Previews)
SIZE = Number("size", "Longest side in pixels.", low=MIN_SIZE, high=MAX_SIZE, default=DEFAULT_SIZE)
OF: Choice[Side] = Choice("of", "Of which of the two; absent: the result.", words=("result", "source"))


class _Download(web.FileResponse):
    """A file, and what is to be done once all of it was sent."""

    def __init__(self, path: Path, headers: Mapping[str, str], sent: Callable[[], object]) -> None:
        super().__init__(path, headers=headers)
        self._sent = sent

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        # A file response sends its body here, and raises when the client goes before its end.
        writer = await super().prepare(request)
        if self.status == 200:
            await asyncio.to_thread(self._sent)
        return writer


async def read_result(request: web.Request) -> web.StreamResponse:
    """The finished file."""
    job, item = item_address(request)
    found = await asyncio.to_thread(request.app[VIEWS].item, job, item)
    result = found.result
    if result is None or found.state != "done":
        raise ItemNotDone(f"Item {item} of job {job} is {found.state}.")
    path = request.app[OUTPUTS].path_of(result.name)
    if not result.available or not await asyncio.to_thread(path.is_file):
        raise ResultGone(f"{result.name} is not in the output folder.")
    name = result.name.rpartition("/")[2]
    headers = {
        "Content-Type": result.media_type,
        # A file to save, never a page to show, whatever somebody named it.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
    }
    batches = request.app[BATCHES]
    return _Download(path, headers, lambda: batches.fetched(job, item))


async def read_preview(request: web.Request) -> web.StreamResponse:
    """A small JPEG of the result, or of the photo as it was."""
    job, item = item_address(request)
    size, side = SIZE.read(request.query), OF.read(request.query) or "result"
    jpeg = await asyncio.to_thread(request.app[PREVIEWS].jpeg, job, item, side, size)
    # Waiting takes no thread, and a client that goes takes its place in the line with it.
    return web.Response(body=await asyncio.wrap_future(jpeg), content_type="image/jpeg")


async def acknowledge_item(request: web.Request) -> web.StreamResponse:
    """Say that a result was written back."""
    return answer(await asyncio.to_thread(request.app[BATCHES].acknowledge, *item_address(request)))


ROUTES = (
    Route(
        "GET",
        f"{ITEM}/result",
        read_result,
        gives=ItemState,
        gives_files=(*FILE_TYPES, frame.MEDIA_TYPE),
        errors=(*ITEM_ERRORS, ItemNotDone, ResultGone),
    ),
    Route(
        "GET",
        f"{ITEM}/preview",
        read_preview,
        gives="image/jpeg",
        query=(SIZE, OF),
        errors=(
            InvalidRequest,
            *ITEM_ERRORS,
            ItemNotDone,
            ResultGone,
            SourceMissing,
            SourceUnreadable,
            PathRefused,
            ImageError,
            *ImageError.__subclasses__(),
        ),
    ),
    Route("POST", f"{ITEM}/ack", acknowledge_item, gives=ItemState, errors=(*ITEM_ERRORS, ItemNotDone)),
)
