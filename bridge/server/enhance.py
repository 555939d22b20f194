"""A picture in, the enhanced picture out, on one request; serves /v1/enhance."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass

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
from bridge.presets import Parameters
from bridge.protocol.enhancement import EnhanceRequest, EnhanceResult, ResultSummary
from bridge.reply import Reply, Work, reply_to
from bridge.server.body import read_asked
from bridge.server.clients import CLIENTS
from bridge.server.faces import PICTURE_ERRORS
from bridge.server.guard import CALLER
from bridge.server.log import LOG
from bridge.server.parts import READINESS
from bridge.server.patience import sent
from bridge.server.presets import PRESETS
from bridge.server.requests import HEADER, REQUEST_ID, Admission, admitted
from bridge.server.route import METRICS, Route

AUDIT = web.AppKey("audit", AuditLog)
RESULT_HEADER = "GPEN-Result"
FILE_TYPES = ("image/tiff", "image/png", "image/jpeg", "image/webp")
CHUNK_BYTES = 256 * 1024
"""Small, so that each of them leaves within `patience.STALL_SECONDS` over any line that lives."""


async def enhance(request: web.Request) -> web.StreamResponse:
    """Enhance one picture: a frame is answered with a frame, a file with a file."""
    tools = request.app[READINESS].tools()
    with admitted(request) as admission:
        asked = await read_asked(request, EnhanceRequest)
        preset = await asyncio.to_thread(request.app[PRESETS].get, asked.question.preset)
        parameters = asked.question.parameters(preset.parameters)
        metrics = request.app[METRICS]
        line = _Line(request, admission.request_id, asked.name, preset.name, parameters)
        try:
            work = Work(parameters, tools, urgent=True, cancelled=admission.cancelled, stages=Stages())
            done = await admission.run(functools.partial(reply_to, asked.picture, asked.question, work))
        except (BridgeError, asyncio.CancelledError) as error:  # cancelled: the client has gone
            outcome = error.code if isinstance(error, BridgeError) else Cancelled.code
            metrics.observe({}, faces=0, outcome=outcome)
            await asyncio.to_thread(line.write, outcome)
            raise
        await asyncio.to_thread(line.write, "done", done)
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
            await sent(request, response.write(view[start : start + CHUNK_BYTES]))
    await sent(request, response.write_eof())
    return response


@dataclass(frozen=True)
class _Line:
    """What the audit log is told of one picture; `source` is the file's name, where it came with one."""

    request: web.Request
    key: str
    source: str | None
    preset: str
    parameters: Parameters

    def write(self, outcome: str, done: Reply | None = None) -> None:
        """Append it; a log that cannot be written to is told of, and takes nothing from anybody."""
        app, caller = self.request.app, self.request[CALLER]
        faces = done.result.faces if done else ()
        restored = [face.checkpoint for face in faces if face.checkpoint]
        try:
            app[AUDIT].record(
                {
                    "key": self.key,
                    "at": now(),
                    "client": app[CLIENTS].name_of(caller),
                    "client_id": caller.client_id,
                    "source": self.source,
                    "preset": self.preset,
                    "parameters": self.parameters.model_dump(mode="json"),
                    "checkpoints": sorted(set(restored)),
                    "found": len(faces),
                    "restored": len(restored),
                    "seconds": done.result.seconds if done else {},
                    "outcome": outcome,
                }
            )
        except BridgeError as error:
            # The picture is finished; a full disk must not take it from whoever waits for it.
            app[LOG].logger.warning("not audited", code=error.code, detail=error.detail)
        except Exception as error:
            app[LOG].logger.error("not audited", exc_info=error)


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
