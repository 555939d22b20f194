"""From a question and its picture to the answer's bytes: where the wire meets the pipeline.

One place for every road (a request, an item of a batch, the command line), so that the same photo
and parameters give the same bytes on each. Synchronous; knows no HTTP and no queue.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bridge.errors import EncodingFailed, InvalidRequest
from bridge.faces.face import Face
from bridge.imaging.codecs import decode
from bridge.imaging.image import Image
from bridge.metrics import Stages
from bridge.pipeline import Enhancement, Tools, enhance, enhance_file
from bridge.presets import Parameters
from bridge.protocol import frame as frames
from bridge.protocol.enhancement import EnhanceRequest, EnhanceResult, FaceFound
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


@dataclass(frozen=True)
class Reply:
    """A finished answer as bytes, not yet sent or written.

    Attributes:
        parts: its bytes, to be written one after the other.
    """

    result: EnhanceResult
    media_type: str
    parts: Sequence[Buffer]


@dataclass(frozen=True)
class Work:
    """How a question is worked on.

    Attributes:
        parameters: what is asked for, all of it.
        urgent: somebody waits; goes before batch work on the device.
        cancelled: looked at between stages, faces and passes.
        stages: where to record the seconds.
    """

    parameters: Parameters
    tools: Tools
    urgent: bool
    cancelled: threading.Event
    stages: Stages


def reply_to(picture: Frame | ImageFile, question: EnhanceRequest, work: Work) -> Reply:
    """Enhance a picture and put the answer into the form that was asked for.

    A frame is answered with a frame, a file with a file, unless the question says otherwise.

    Raises:
        InvalidRequest: the question does not fit the picture.
        BridgeError: whatever the pipeline raises.
    """
    content = picture_of(picture) if isinstance(picture, Frame) else picture
    if isinstance(content, Image):
        if question.output.format not in ("same", "frame"):
            raise InvalidRequest("Raw pixels come back as raw pixels: leave `output.format` out.")
        return _as_pixels(content, question, work, with_icc=False)
    if question.output.format == "frame" or question.compose == "layers":
        with work.stages.stage("decode"):
            image = decode(content.data, max_megapixels=work.tools.max_megapixels)
        if image.pixels.dtype == np.float32:
            raise EncodingFailed(
                "A floating-point file has no raw form: raw f32 is linear.", hint="Ask for TIFF or PNG."
            )
        return _as_pixels(image, question, work, with_icc=True)
    return _as_file(content, question, work, framed=isinstance(picture, Frame))


def _as_pixels(image: Image, question: EnhanceRequest, work: Work, *, with_icc: bool) -> Reply:
    """A frame of raw pixels; `with_icc`: the client does not know the profile yet."""
    enhancement = enhance(
        image,
        work.parameters,
        work.tools,
        faces=_faces(question),
        as_layers=question.compose == "layers",
        with_mask=True,
        urgent=work.urgent,
        cancelled=work.cancelled,
        stages=work.stages,
    )
    result = _result(question, work.parameters, enhancement, image.metadata.warnings)
    payloads: list[tuple[Payload, Buffer]] = [pixels_payload(IMAGE, enhancement.image.pixels)]
    if enhancement.mask is not None:
        payloads.append(pixels_payload(MASK, enhancement.mask))
    if with_icc and image.icc is not None:
        payloads.append(icc_payload(image.icc))
    return Reply(result, frames.MEDIA_TYPE, frame_parts("result", message(result), payloads))


def _as_file(file: ImageFile, question: EnhanceRequest, work: Work, *, framed: bool) -> Reply:
    """An image file, alone or in a frame."""
    done = enhance_file(
        file.data,
        work.parameters,
        question.output.file,
        work.tools,
        preset=question.preset,
        faces=_faces(question),
        with_mask=framed,
        urgent=work.urgent,
        cancelled=work.cancelled,
        stages=work.stages,
    )
    result = _result(question, work.parameters, done.enhancement, done.warnings)
    if not framed:
        return Reply(result, done.media_type, [done.data])
    payloads: list[tuple[Payload, Buffer]] = [file_payload(IMAGE, done.data, done.media_type)]
    if done.enhancement.mask is not None:
        payloads.append(pixels_payload(MASK, done.enhancement.mask))
    return Reply(result, frames.MEDIA_TYPE, frame_parts("result", message(result), payloads))


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
