"""Faces of a picture, without changing it; serves /v1/faces."""

from __future__ import annotations

import functools
import threading

from aiohttp import web

from bridge.errors import (
    BridgeError,
    Busy,
    Cancelled,
    ImageError,
    ImageTooLarge,
    InvalidRequest,
    MalformedFrame,
    NotReady,
    ProfileUnknown,
    ProtocolMismatch,
    RequestIdInUse,
)
from bridge.faces.align import align
from bridge.faces.detect import Detector
from bridge.faces.face import Face
from bridge.faces.quality import Quality, judge
from bridge.imaging.codecs import decode
from bridge.imaging.colour import to_working
from bridge.imaging.image import Image
from bridge.metrics import Stages
from bridge.pipeline import Tools
from bridge.protocol import frame as frames
from bridge.protocol.enhancement import FaceFound, FacesRequest, FacesResult, QualityGuess
from bridge.protocol.frame import Frame, encode_frame
from bridge.protocol.message import message
from bridge.protocol.picture import picture_of
from bridge.server.body import Asked, read_asked
from bridge.server.parts import READINESS
from bridge.server.requests import HEADER, REQUEST_ID, admitted
from bridge.server.route import Route, answer

JUDGED_TEMPLATE, JUDGED_SIDE = "ffhq_512", 256
"""The crop on which the scale of `faces/quality.py` was found."""

PICTURE_ERRORS: tuple[type[BridgeError], ...] = (
    NotReady,
    Busy,
    RequestIdInUse,
    Cancelled,
    InvalidRequest,
    MalformedFrame,
    ProtocolMismatch,
    ImageTooLarge,
    *ImageError.__subclasses__(),
    ProfileUnknown,
)
"""What every route that takes a picture may raise."""


async def faces(request: web.Request) -> web.StreamResponse:
    """The faces of a picture: boxes, landmarks, a guess of quality and a suggested preset."""
    tools = request.app[READINESS].tools()
    with admitted(request) as admission:
        asked = await read_asked(request, FacesRequest)
        result = await admission.run(functools.partial(_find, asked, tools, admission.cancelled))
    response = (
        web.Response(body=encode_frame("result", message(result)), content_type=frames.MEDIA_TYPE)
        if isinstance(asked.picture, Frame)
        else answer(result)
    )
    response.headers[HEADER] = admission.request_id
    return response


def _find(asked: Asked[FacesRequest], tools: Tools, cancelled: threading.Event) -> FacesResult:
    stages = Stages()
    with stages.stage("decode"):
        content = picture_of(asked.picture) if isinstance(asked.picture, Frame) else asked.picture
        image = (
            content
            if isinstance(content, Image)
            else decode(content.data, max_megapixels=tools.max_megapixels)
        )
    if cancelled.is_set():
        raise Cancelled
    question = asked.question
    return describe(
        image,
        tools.detector,
        min_size=tools.min_face if question.min_size is None else question.min_size,
        min_score=tools.min_score if question.min_score is None else question.min_score,
        stages=stages,
    )


def describe(
    image: Image, detector: Detector, *, min_size: float, min_score: float, stages: Stages
) -> FacesResult:
    """All that is said about the faces of a picture, largest first."""
    with stages.stage("detect"):
        found = detector.detect(image, min_size=min_size, min_score=min_score)
    with stages.stage("judge"):
        judged = [_judged(image, face) for face in found]
    return FacesResult(
        width=image.width,
        height=image.height,
        faces=tuple(
            FaceFound.of(face, quality=_on_the_wire(quality), suggested_preset=quality.preset)
            for face, quality in zip(found, judged, strict=True)
        ),
        # The largest face comes first, and is the one that people look at.
        suggested_preset=judged[0].preset if judged else "default",
        seconds=stages.seconds,
        warnings=image.metadata.warnings,
    )


def _judged(image: Image, face: Face) -> Quality:
    crop = align(image.colour, face, JUDGED_TEMPLATE, JUDGED_SIDE)
    return judge(to_working(crop.pixels, image.icc), face.size)


def _on_the_wire(quality: Quality) -> QualityGuess:
    return QualityGuess(
        grade=quality.grade, sharpness=round(quality.sharpness, 3), noise=round(quality.noise, 4)
    )


ROUTES = (
    Route(
        "POST",
        "/v1/faces",
        faces,
        takes=FacesRequest,
        picture=True,
        gives=FacesResult,
        errors=PICTURE_ERRORS,
        headers=(REQUEST_ID,),
    ),
)
