"""application/x-gpen-frame: one JSON header and raw payloads behind it, as bytes.

    offset  size  what
    0       4     "GPEN"
    4       1     version, 1
    5       3     zero
    8       4     length of the header in bytes, unsigned, little-endian, at most 1 MiB
    12      n     header: {"request"|"result": {...}, "payloads": [{"name", "kind", "bytes", ...}]}
    12 + n  ...   the payloads, back to back, in the header's order

Every size is checked in the header before a payload is touched, and payloads are
views of the buffer, never copies. What the JSON means is not known here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from bridge.errors import MalformedFrame, ProtocolMismatch

MEDIA_TYPE = "application/x-gpen-frame"
MAGIC = b"GPEN"
VERSION = 1
PREFIX = struct.Struct("<4sB3sI")
MAX_HEADER_BYTES = 1024**2
MAX_PAYLOADS = 16
"""An image, a mask, a profile and room to grow; more is a mistake or an attack."""

BYTES_PER_SAMPLE = {"u8": 1, "u16": 2, "f32": 4}

Buffer = bytes | bytearray | memoryview
Kind = Literal["request", "result"]
PayloadName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
PayloadBytes = Annotated[int, Field(ge=0, le=2**40)]
PixelCount = Annotated[int, Field(ge=1, le=1_000_000)]


class _Descriptor(BaseModel):
    # Unknown keys are refused: a misspelt "profile" must not silently become sRGB.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: PayloadName
    bytes: PayloadBytes


class PixelsPayload(_Descriptor):
    """Raw pixels: row-major, interleaved, little-endian, top row first.

    Attributes:
        channels: 1 gray, 3 RGB, 4 RGB and unassociated alpha.
        depth: u8 0-255 and u16 0-65535 in the profile's encoding, f32 linear light, 1.0 is white.
        profile: a profile's name, when no ICC payload comes with the frame.
    """

    kind: Literal["pixels"] = "pixels"
    width: PixelCount
    height: PixelCount
    channels: Literal[1, 3, 4]
    depth: Literal["u8", "u16", "f32"]
    profile: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        expected = self.width * self.height * self.channels * BYTES_PER_SAMPLE[self.depth]
        if self.bytes != expected:
            raise ValueError(
                f"{self.width} x {self.height} x {self.channels} {self.depth} takes {expected} bytes, "
                f"not {self.bytes}"
            )
        return self


class FilePayload(_Descriptor):
    """An image file as it lies on disk."""

    kind: Literal["file"] = "file"
    media_type: Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$", max_length=100)]


class IccPayload(_Descriptor):
    """The ICC profile of the frame's pixels."""

    kind: Literal["icc"] = "icc"


Payload = Annotated[PixelsPayload | FilePayload | IccPayload, Field(discriminator="kind")]
_PAYLOADS: TypeAdapter[tuple[Payload, ...]] = TypeAdapter(tuple[Payload, ...])


@dataclass(frozen=True)
class Header:
    """What a frame says before its payloads begin.

    Attributes:
        kind: whether the message asks or answers.
        message: the JSON object of the request or result, not yet validated.
        payloads: what follows, in order; names are distinct.
    """

    kind: Kind
    message: Mapping[str, Any]
    payloads: tuple[Payload, ...]

    @property
    def payload_bytes(self) -> int:
        """Length of all payloads together, in bytes."""
        return sum(payload.bytes for payload in self.payloads)


@dataclass(frozen=True)
class Frame:
    """A header with views of its payloads, by name."""

    header: Header
    views: Mapping[str, memoryview]

    @classmethod
    def over(cls, header: Header, body: Buffer) -> Frame:
        """A frame whose payloads are views of `body`, which holds exactly them.

        Raises:
            MalformedFrame: `body` is shorter or longer than the header says.
        """
        view = memoryview(body).cast("B")
        if len(view) != header.payload_bytes:
            raise MalformedFrame(
                f"The payloads take {len(view)} bytes; the header says {header.payload_bytes}."
            )
        views: dict[str, memoryview] = {}
        offset = 0
        for payload in header.payloads:
            views[payload.name] = view[offset : offset + payload.bytes]
            offset += payload.bytes
        return cls(header, views)


def header_length(prefix: Buffer) -> int:
    """Length of the header in bytes, from the first 12 bytes of a frame.

    Raises:
        MalformedFrame: this is no frame, or its header is too long.
        ProtocolMismatch: a frame of another version.
    """
    if len(prefix) < PREFIX.size:
        raise MalformedFrame(f"A frame begins with {PREFIX.size} bytes; only {len(prefix)} came.")
    magic, version, zeros, length = PREFIX.unpack_from(prefix)
    if magic != MAGIC:
        raise MalformedFrame('A frame begins with "GPEN"; this does not.')
    if version != VERSION:
        raise ProtocolMismatch(f"The frame has version {version}; this bridge reads version {VERSION}.")
    if zeros != b"\0\0\0":
        raise MalformedFrame("Bytes 5 to 7 of a frame must be zero.")
    if length > MAX_HEADER_BYTES:
        raise MalformedFrame(f"The header takes {length} bytes; at most {MAX_HEADER_BYTES} are allowed.")
    return int(length)


def parse_header(data: Buffer) -> Header:
    """The header from its JSON, every size in it checked.

    Raises:
        MalformedFrame: not UTF-8 JSON, not the shape above, or sizes that contradict each other.
    """
    try:
        # Strict where `json` is lax: no NaN, no lone surrogates, a bound on nesting.
        content = pydantic_core.from_json(bytes(data), allow_inf_nan=False)
    except ValueError as error:
        raise MalformedFrame(f"The header is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise MalformedFrame("The header must be a JSON object.")
    unknown = content.keys() - {"request", "result", "payloads"}
    if unknown:
        raise MalformedFrame(f"The header has unknown keys: {', '.join(sorted(unknown))}.")
    kinds: list[Kind] = [kind for kind in ("request", "result") if kind in content]
    if len(kinds) != 1 or not isinstance(content[kinds[0]], dict):
        raise MalformedFrame('The header needs exactly one object named "request" or "result".')
    return Header(kinds[0], content[kinds[0]], _parse_payloads(content.get("payloads", [])))


def decode_frame(data: Buffer) -> Frame:
    """A whole frame; its payloads are views of `data`.

    Raises:
        MalformedFrame: anything but exactly one frame.
        ProtocolMismatch: a frame of another version.
    """
    end = PREFIX.size + header_length(data)
    if len(data) < end:
        raise MalformedFrame(f"The frame ends inside its header: {len(data)} of {end} bytes came.")
    view = memoryview(data).cast("B")
    return Frame.over(parse_header(view[PREFIX.size : end]), view[end:])


def frame_parts(
    kind: Kind, message: Mapping[str, Any], payloads: Sequence[tuple[Payload, Buffer]] = ()
) -> list[Buffer]:
    """A frame as the pieces to be written one after the other; payloads are not copied.

    Keys are sorted and nothing is indented, so that every language writes the same bytes.

    Raises:
        ValueError: a payload's length is not the one it declares, or the header is too long.
    """
    for payload, view in payloads:
        if memoryview(view).nbytes != payload.bytes:
            raise ValueError(f"{payload.name} declares {payload.bytes} bytes, not {memoryview(view).nbytes}")
    declared = [payload.model_dump(exclude_none=True) for payload, _ in payloads]
    content = {kind: message, "payloads": declared}
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    header = text.encode()
    if len(header) > MAX_HEADER_BYTES:
        raise ValueError(f"a header of {len(header)} bytes is too long")
    prefix = PREFIX.pack(MAGIC, VERSION, b"\0\0\0", len(header))
    return [prefix, header, *(view for _, view in payloads)]


def encode_frame(
    kind: Kind, message: Mapping[str, Any], payloads: Sequence[tuple[Payload, Buffer]] = ()
) -> bytes:
    """A frame in one piece: `frame_parts` joined."""
    return b"".join(frame_parts(kind, message, payloads))


def _parse_payloads(content: Any) -> tuple[Payload, ...]:
    try:
        payloads = _PAYLOADS.validate_python(content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in problem["loc"])
        raise MalformedFrame(f"payloads.{place}: {problem['msg']}.") from error
    if len(payloads) > MAX_PAYLOADS:
        raise MalformedFrame(f"A frame carries at most {MAX_PAYLOADS} payloads.")
    names = [payload.name for payload in payloads]
    if len(set(names)) != len(names):
        raise MalformedFrame("Two payloads have the same name.")
    return payloads
