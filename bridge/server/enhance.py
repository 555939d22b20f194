"""A picture in, the enhanced picture out, on one request; serves /v1/enhance."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from aiohttp import web

from bridge.errors import (
    BridgeError,
    Cancelled,
    CheckpointError,
    CheckpointNotInstalled,
    CheckpointUnknown,
    DegenerateLandmarks,
    DeviceOutOfMemory,
    EncodingFailed,
    EngineError,
    InvalidRequest,
    PresetUnknown,
)
from bridge.faces.face import Face
from bridge.imaging.codecs import decode
from bridge.imaging.image import Image
from bridge.metrics import Stages
from bridge.pipeline import Enhancement, Tools, enhance_file
from bridge.pipeline import enhance as enhance_image
from bridge.presets import Parameters
from bridge.protocol import frame as frames
from bridge.protocol.enhancement import EnhanceRequest, EnhanceResult, FaceFound, ResultSummary
from bridge.protocol.frame import Buffer, Frame, Payload, frame_parts
from bridge.protocol.message import message
from bridge.protocol.picture import (
    IMAGE,
    MASK,
    ImageFile,
    file_payload,
    icc_payload,
    picture_of,
    pixels_payload,
)
from bridge.server.body import Asked, read_asked
from bridge.server.faces import PICTURE_ERRORS
from bridge.server.parts import READINESS
from bridge.server.presets import PRESETS
from bridge.server.requests import HEADER, Admission, admitted
from bridge.server.route import METRICS, Route

RESULT_HEADER = "GPEN-Result"
FILE_TYPES = ("image/tiff", "image/png", "image/jpeg", "image/webp")
CHUNK_BYTES = 1024**2


@dataclass(frozen=True)
class Answer:
    """A finished answer as bytes, not yet sent."""

    result: EnhanceResult
    media_type: str
    parts: Sequence[Buffer]


async def enhance(request: web.Request) -> web.StreamResponse:
    """Enhance one picture: a frame is answered with a frame, a file with a file."""
    tools = request.app[READINESS].tools()
    with admitted(request) as admission:
        asked = await read_asked(request, EnhanceRequest)
        preset = await asyncio.to_thread(request.app[PRESETS].get, asked.question.preset)
        parameters = asked.question.parameters(preset.parameters)
        metrics = request.app[METRICS]
        try:
            done = await admission.run(functools.partial(_enhance, asked, parameters, tools, admission))
        except BridgeError as error:
            metrics.observe({}, faces=0, outcome=error.code)
            raise
        except asyncio.CancelledError:  # the client has gone
            metrics.observe({}, faces=0, outcome=Cancelled.code)
            raise
        restored = sum(face.checkpoint is not None for face in done.result.faces)
        metrics.observe(done.result.seconds, faces=restored, outcome="done")
        return await _send(request, done, admission)


async def _send(request: web.Request, done: Answer, admission: Admission) -> web.StreamResponse:
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


def _enhance(asked: Asked[EnhanceRequest], parameters: Parameters, tools: Tools, work: Admission) -> Answer:
    question = asked.question
    framed = isinstance(asked.picture, Frame)
    content = picture_of(asked.picture) if isinstance(asked.picture, Frame) else asked.picture
    if isinstance(content, Image):
        if question.output.format not in ("same", "frame"):
            raise InvalidRequest("Raw pixels come back as raw pixels: leave `output.format` out.")
        return _as_pixels(content, question, parameters, tools, work, Stages(), with_icc=False)
    if question.output.format == "frame" or question.compose == "layers":
        stages = Stages()
        with stages.stage("decode"):
            image = decode(content.data, max_megapixels=tools.max_megapixels)
        if image.pixels.dtype == np.float32:
            raise EncodingFailed(
                "A floating-point file has no raw form: raw f32 is linear.", hint="Ask for TIFF or PNG."
            )
        return _as_pixels(image, question, parameters, tools, work, stages, with_icc=True)
    return _as_file(content, question, parameters, tools, work, framed=framed)


def _as_pixels(
    image: Image,
    question: EnhanceRequest,
    parameters: Parameters,
    tools: Tools,
    work: Admission,
    stages: Stages,
    *,
    with_icc: bool,
) -> Answer:
    """A frame of raw pixels; `with_icc`: the client does not know the profile yet."""
    enhancement = enhance_image(
        image,
        parameters,
        tools,
        faces=_faces(question),
        as_layers=question.compose == "layers",
        with_mask=True,
        cancelled=work.cancelled,
        stages=stages,
    )
    result = _result(question, parameters, enhancement, image.metadata.warnings)
    payloads: list[tuple[Payload, Buffer]] = [pixels_payload(IMAGE, enhancement.image.pixels)]
    if enhancement.mask is not None:
        payloads.append(pixels_payload(MASK, enhancement.mask))
    if with_icc and image.icc is not None:
        payloads.append(icc_payload(image.icc))
    return Answer(result, frames.MEDIA_TYPE, frame_parts("result", message(result), payloads))


def _as_file(
    file: ImageFile,
    question: EnhanceRequest,
    parameters: Parameters,
    tools: Tools,
    work: Admission,
    *,
    framed: bool,
) -> Answer:
    """An image file, alone or in a frame."""
    done = enhance_file(
        file.data,
        parameters,
        question.output.file,
        tools,
        preset=question.preset,
        faces=_faces(question),
        with_mask=framed,
        cancelled=work.cancelled,
    )
    result = _result(question, parameters, done.enhancement, done.warnings)
    if not framed:
        return Answer(result, done.media_type, [done.data])
    payloads: list[tuple[Payload, Buffer]] = [file_payload(IMAGE, done.data, done.media_type)]
    if done.enhancement.mask is not None:
        payloads.append(pixels_payload(MASK, done.enhancement.mask))
    return Answer(result, frames.MEDIA_TYPE, frame_parts("result", message(result), payloads))


def _faces(question: EnhanceRequest) -> list[Face] | None:
    return None if question.faces is None else [given.face() for given in question.faces]


def _result(
    question: EnhanceRequest, parameters: Parameters, enhancement: Enhancement, warnings: tuple[str, ...]
) -> EnhanceResult:
    return EnhanceResult(
        width=enhancement.image.width,
        height=enhancement.image.height,
        preset=question.preset,
        parameters=parameters,
        opacity=round(enhancement.opacity, 4),
        faces=tuple(
            FaceFound.of(outcome.face, checkpoint=outcome.checkpoint and outcome.checkpoint.name)
            for outcome in enhancement.faces
        ),
        seconds=enhancement.seconds,
        warnings=warnings,
    )


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
        headers=((HEADER, "A UUID under which the request can be cancelled; so does a disconnect."),),
    ),
)
