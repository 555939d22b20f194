"""Pictures on their way to a job; serves /v1/uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote

from aiohttp import BodyPartReader, web

from bridge.errors import (
    BodyTooLarge,
    DiskFull,
    DiskLow,
    InvalidRequest,
    OutputError,
    StoreUnavailable,
    UploadOffsetConflict,
    UploadUnknown,
)
from bridge.jobs.spool import free_bytes
from bridge.jobs.uploads import Incoming, Uploads
from bridge.protocol import frame
from bridge.protocol.uploads import UploadState
from bridge.server.guard import CALLER
from bridge.server.multipart import named_failures, parts_of
from bridge.server.parameters import Number, Parameter
from bridge.server.patience import arrived
from bridge.server.route import SETTINGS, Route, answer

MOST_BYTES = 10**15 - 1
NAME = Parameter("GPEN-File-Name", "The file's name, UTF-8 percent-encoded; of a raw body.")
LENGTH = Number("Upload-Length", "Bytes to come by PATCH; then the body is empty.", high=MOST_BYTES)
OFFSET = Number(
    "Upload-Offset", "Where the piece begins: the upload's `offset`.", required=True, high=MOST_BYTES
)
PIECE_TYPES = ("application/octet-stream",)
UPLOAD_TYPES = (
    *PIECE_TYPES,
    *("image/jpeg", "image/png", "image/tiff", "image/webp"),
    frame.MEDIA_TYPE,
    "multipart/form-data",
)
CHUNK_BYTES = 1024**2

UPLOADS = web.AppKey("uploads", Uploads)


async def create_upload(request: web.Request) -> web.StreamResponse:
    """Begin an upload; with a body it is whole at once."""
    uploads = request.app[UPLOADS]
    await asyncio.to_thread(_check_room, request)
    client_id = request[CALLER].client_id
    if request.content_type == "multipart/form-data":
        state = await _from_form(request, uploads, client_id)
    elif LENGTH.name in request.headers:
        size = LENGTH.read(request.headers)
        state = await asyncio.to_thread(uploads.create, client_id, _name(request), size)
    else:
        state = await _whole(uploads, client_id, _name(request), request.content_length, _chunks(request))
    return answer(state, status=201)


async def continue_upload(request: web.Request) -> web.StreamResponse:
    """The next piece of an upload."""
    uploads = request.app[UPLOADS]
    upload = request.match_info["upload"]
    await asyncio.to_thread(_check_room, request)
    await _receive(uploads, upload, OFFSET.read(request.headers), _chunks(request))
    return answer(await asyncio.to_thread(uploads.complete, upload))


async def read_upload(request: web.Request) -> web.StreamResponse:
    """How much of an upload has come."""
    return answer(await asyncio.to_thread(request.app[UPLOADS].state, request.match_info["upload"]))


async def _from_form(request: web.Request, uploads: Uploads, client_id: str) -> UploadState:
    state: UploadState | None = None
    with named_failures():
        async for part in parts_of(request):
            if part.name != "file" or state is not None:
                raise InvalidRequest('The form has one part, named "file".')
            state = await _whole(uploads, client_id, part.filename or "photo", None, _part_chunks(part))
    if state is None:
        raise InvalidRequest('The part "file" is missing.')
    return state


async def _whole(
    uploads: Uploads, client_id: str, name: str, size: int | None, chunks: AsyncIterator[bytes]
) -> UploadState:
    """Receive all of a body; a body that breaks off leaves nothing, since its id was never told."""
    created = await asyncio.to_thread(uploads.create, client_id, name, size)
    try:
        await _receive(uploads, created.upload, 0, chunks)
        state = await asyncio.to_thread(uploads.complete, created.upload)
        if not state.complete:
            raise InvalidRequest(f"The body ended after {state.offset} of {size} bytes.")
    except BaseException:
        await asyncio.shield(asyncio.to_thread(uploads.discard, created.upload))
        raise
    return state


async def _receive(uploads: Uploads, upload: str, offset: int, chunks: AsyncIterator[bytes]) -> None:
    receiving = uploads.receive(upload, offset)
    incoming: Incoming = await asyncio.to_thread(receiving.__enter__)
    failure: BaseException | None = None
    try:
        async for chunk in chunks:
            await asyncio.to_thread(incoming.write, chunk)
    except BaseException as error:
        failure = error
        raise
    finally:
        # In a thread too: it waits for the disk. The generator behind `receiving` closes the file.
        kind = type(failure) if failure else None
        await asyncio.shield(asyncio.to_thread(receiving.__exit__, kind, failure, None))


async def _chunks(request: web.Request) -> AsyncIterator[bytes]:
    while chunk := await arrived(request.content.read(CHUNK_BYTES)):
        yield chunk


async def _part_chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await arrived(part.read_chunk(CHUNK_BYTES)):
        yield bytes(chunk)


def _name(request: web.Request) -> str:
    return unquote(request.headers.get(NAME.name, "photo"), errors="replace")[:400]


def _check_room(request: web.Request) -> None:
    settings = request.app[SETTINGS]
    folder = request.app[UPLOADS].folder
    free = free_bytes(folder)
    if free < settings.min_free_bytes:
        raise DiskLow(f"{free / 1e9:.1f} GB are free on the disk of {folder}.")


_ERRORS = (InvalidRequest, BodyTooLarge, DiskFull, DiskLow, OutputError, StoreUnavailable)
ROUTES = (
    Route(
        "POST",
        "/v1/uploads",
        create_upload,
        accepts=UPLOAD_TYPES,
        gives=UploadState,
        status=201,
        errors=_ERRORS,
        headers=(NAME, LENGTH),
    ),
    Route(
        "GET",
        "/v1/uploads/{upload}",
        read_upload,
        gives=UploadState,
        errors=(UploadUnknown, StoreUnavailable),
    ),
    Route(
        "PATCH",
        "/v1/uploads/{upload}",
        continue_upload,
        accepts=PIECE_TYPES,
        gives=UploadState,
        errors=(*_ERRORS, UploadUnknown, UploadOffsetConflict),
        headers=(OFFSET,),
    ),
)
