"""A picture in, the enhanced picture out, on one request; serves /v1/enhance."""

from __future__ import annotations

import asyncio
import functools

from aiohttp import web

from bridge.errors import (
    BridgeError,
    Cancelled,
    CheckpointError,
    CheckpointNotInstalled,
    CheckpointUnknown,
    DegenerateLandmarks,
    DeviceOutOfMemory,
    EngineError,
    PresetUnknown,
)
from bridge.jobs.audit import AuditLog
from bridge.jobs.job import now
from bridge.metrics import Stages
from bridge.protocol.enhancement import EnhanceRequest, EnhanceResult, ResultSummary
from bridge.reply import Reply, Work, reply_to
from bridge.server.body import read_asked
from bridge.server.faces import PICTURE_ERRORS
from bridge.server.guard import CALLER
from bridge.server.log import LOG
from bridge.server.parts import READINESS
from bridge.server.presets import PRESETS
from bridge.server.requests import HEADER, REQUEST_ID, Admission, admitted
from bridge.server.route import METRICS, Route

AUDIT = web.AppKey("audit", AuditLog)
RESULT_HEADER = "GPEN-Result"
FILE_TYPES = ("image/tiff", "image/png", "image/jpeg", "image/webp")
CHUNK_BYTES = 1024**2


async def enhance(request: web.Request) -> web.StreamResponse:
    """Enhance one picture: a frame is answered with a frame, a file with a file."""
    tools = request.app[READINESS].tools()
    with admitted(request) as admission:
        asked = await read_asked(request, EnhanceRequest)
        preset = await asyncio.to_thread(request.app[PRESETS].get, asked.question.preset)
        parameters = asked.question.parameters(preset.parameters)
        metrics = request.app[METRICS]
        try:
            work = Work(parameters, tools, urgent=True, cancelled=admission.cancelled, stages=Stages())
            done = await admission.run(functools.partial(reply_to, asked.picture, asked.question, work))
        except BridgeError as error:
            metrics.observe({}, faces=0, outcome=error.code)
            raise
        except asyncio.CancelledError:  # the client has gone
            metrics.observe({}, faces=0, outcome=Cancelled.code)
            raise
        await asyncio.to_thread(_audit, request, admission, done)
        restored = sum(face.checkpoint is not None for face in done.result.faces)
        metrics.observe(done.result.seconds, faces=restored, outcome="done")
        return await _send(request, done, admission)


async def _send(request: web.Request, done: Reply, admission: Admission) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_type = done.media_type
    response.content_length = sum(memoryview(part).nbytes for part in done.parts)
    response.headers[HEADER] = admission.request_id
    response.headers[RESULT_HEADER] = ResultSummary.of(done.result).header()
    await response.prepare(request)
    for part in done.parts:
        view = memoryview(part)
        for start in range(0, len(view), CHUNK_BYTES):
            await response.write(view[start : start + CHUNK_BYTES])
    await response.write_eof()
    return response


def _audit(request: web.Request, admission: Admission, done: Reply) -> None:
    result, caller = done.result, request[CALLER]
    restored = [face.checkpoint for face in result.faces if face.checkpoint]
    try:
        request.app[AUDIT].record(
            {
                "key": admission.request_id,
                "at": now(),
                "client": caller.kind,
                "client_id": caller.client_id,
                "preset": result.preset,
                "parameters": result.parameters.model_dump(mode="json"),
                "checkpoints": sorted(set(restored)),
                "found": len(result.faces),
                "restored": len(restored),
                "seconds": result.seconds,
                "outcome": "done",
            }
        )
    except BridgeError as error:
        # The picture is finished; a full disk must not take it from whoever waits for it.
        request.app[LOG].logger.warning("not audited", code=error.code, detail=error.detail)


ROUTES = (
    Route(
        "POST",
        "/v1/enhance",
        enhance,
        takes=EnhanceRequest,
        picture=True,
        gives=EnhanceResult,
        gives_files=FILE_TYPES,
        errors=(
            *PICTURE_ERRORS,
            PresetUnknown,
            DegenerateLandmarks,
            CheckpointUnknown,
            CheckpointNotInstalled,
            CheckpointError,
            EngineError,
            DeviceOutOfMemory,
        ),
        headers=(REQUEST_ID,),
    ),
)
