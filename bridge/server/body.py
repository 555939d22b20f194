"""A picture and its question, read from a request's body while counting against the limits.

Takes both body kinds. What a frame's header declares is checked before its payloads
are read; what multipart carries is counted as it comes. The bytes stay in memory,
because every decoder wants them there in one piece; big files that must survive a
disconnect go by upload instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from aiohttp import BodyPartReader, web

from bridge.errors import BodyTooLarge, InvalidRequest, MalformedFrame
from bridge.protocol import frame as frames
from bridge.protocol.frame import PREFIX, Frame, header_length, parse_header
from bridge.protocol.message import Question
from bridge.protocol.picture import ImageFile, check_picture
from bridge.server.multipart import named_failures, parts_of
from bridge.server.patience import arrived
from bridge.server.route import SETTINGS

CHUNK_BYTES = 1024**2
Q = TypeVar("Q", bound=Question)


@dataclass(frozen=True)
class Asked(Generic[Q]):
    """What a body held.

    Attributes:
        question: the validated request.
        picture: the whole frame, or the file of a multipart body; not yet decoded.
        name: of that file; None where none was said.
    """

    question: Q
    picture: Frame | ImageFile
    name: str | None = None


async def read_asked(request: web.Request, model: type[Q]) -> Asked[Q]:
    """Read a body of either kind.

    Raises:
        MalformedFrame, ProtocolMismatch: a frame that contradicts itself.
        InvalidRequest: the question or the multipart body is wrong.
        BodyTooLarge, ImageTooLarge: over a limit, found before more is read.
        BodyStalled: it stopped coming.
    """
    if request.content_type == frames.MEDIA_TYPE:
        return await _read_frame(request, model)
    return await _read_multipart(request, model)


async def read_question(request: web.Request, model: type[Q]) -> Q:
    """Read a body that is a question alone, in JSON.

    Raises:
        InvalidRequest: it is not JSON, or a field is wrong.
        BodyTooLarge: over the limit, found before more is read.
        BodyStalled: it stopped coming.
    """
    limit = request.app[SETTINGS].max_json_bytes
    content = bytearray()
    while chunk := await arrived(request.content.readany()):
        content += chunk
        if len(content) > limit:
            raise BodyTooLarge(f"The body is larger than {limit} bytes.")
    return model.parse_json(bytes(content))


async def _read_frame(request: web.Request, model: type[Q]) -> Asked[Q]:
    settings = request.app[SETTINGS]
    length = header_length(await _exactly(request, PREFIX.size))
    if length > settings.max_json_bytes:
        raise BodyTooLarge(
            f"The header takes {length} bytes; at most {settings.max_json_bytes} are accepted."
        )
    header = parse_header(await _exactly(request, length))
    check_picture(header, settings.max_megapixels)
    question = model.parse(header.message)
    total = PREFIX.size + length + header.payload_bytes
    if total > settings.max_upload_bytes:
        raise BodyTooLarge(
            f"The frame takes {total} bytes; at most {settings.max_upload_bytes} are accepted."
        )
    if request.content_length not in (None, total):
        raise MalformedFrame(f"The body takes {request.content_length} bytes; the header says {total}.")
    body = bytearray(header.payload_bytes)
    filled = 0
    while chunk := await arrived(request.content.read(CHUNK_BYTES)):
        if filled + len(chunk) > len(body):
            raise MalformedFrame("More bytes follow than the header declares.")
        body[filled : filled + len(chunk)] = chunk
        filled += len(chunk)
    if filled < len(body):
        raise MalformedFrame(f"The frame ends after {filled} of {len(body)} payload bytes.")
    return Asked(question, Frame.over(header, body))


async def _exactly(request: web.Request, count: int) -> bytes:
    begun = bytearray()
    while len(begun) < count:
        piece = await arrived(request.content.read(count - len(begun)))
        if not piece:
            raise MalformedFrame("The frame ends inside its header.")
        begun += piece
    return bytes(begun)


async def _read_multipart(request: web.Request, model: type[Q]) -> Asked[Q]:
    settings = request.app[SETTINGS]
    limits = {"request": settings.max_json_bytes, "image": settings.max_upload_bytes}
    parts: dict[str, bytes] = {}
    media_type, name = "application/octet-stream", None
    with named_failures():
        async for part in parts_of(request):
            if part.name not in limits or part.name in parts:
                raise InvalidRequest('The parts are "request" and "image", each once.')
            parts[part.name] = await _read_part(part, limits[part.name])
            if part.name == "image":
                media_type, name = part.headers.get("Content-Type", media_type), part.filename
    if "image" not in parts:
        raise InvalidRequest('The part "image" is missing.')
    question = model.parse_json(parts.get("request", b"{}"))
    return Asked(question, ImageFile(parts["image"], media_type), name)


async def _read_part(part: BodyPartReader, limit: int) -> bytes:
    content = bytearray()
    while chunk := await arrived(part.read_chunk(CHUNK_BYTES)):
        content += chunk
        if len(content) > limit:
            raise BodyTooLarge(f'The part "{part.name}" is larger than {limit} bytes.')
    return bytes(content)
