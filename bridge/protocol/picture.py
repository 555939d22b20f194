"""A frame's payloads as an Image, and an Image as payloads.

Pixels are viewed in place wherever the machine's byte order and alignment allow.
Image files stay bytes here: decoding them is the pipeline's work.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from bridge.errors import EncodingFailed, ImageTooLarge, MalformedFrame, PixelsUnsupported
from bridge.imaging.colour import linearised, problem
from bridge.imaging.image import Image, Metadata, Pixels
from bridge.imaging.profiles import named_profile
from bridge.protocol.frame import (
    Buffer,
    FilePayload,
    Frame,
    Header,
    IccPayload,
    Payload,
    PixelsPayload,
)

IMAGE = "image"
MASK = "mask"

DTYPES: dict[str, np.dtype[Any]] = {"u8": np.dtype("u1"), "u16": np.dtype("<u2"), "f32": np.dtype("<f4")}
DEPTHS = {np.dtype(np.uint8): "u8", np.dtype(np.uint16): "u16", np.dtype(np.float32): "f32"}


@dataclass(frozen=True)
class ImageFile:
    """An image file that came in a frame, not yet decoded."""

    data: bytes
    media_type: str


def check_picture(header: Header, max_megapixels: float) -> None:
    """Refuse what cannot be worked on before its payloads are read.

    Raises:
        MalformedFrame: no payload named "image", or payloads that a request does not have.
        ImageTooLarge: its declared pixels pass the budget.
    """
    if header.kind != "request":
        raise MalformedFrame("The bridge takes requests; this frame is a result.")
    image = next((payload for payload in header.payloads if payload.name == IMAGE), None)
    if not isinstance(image, PixelsPayload | FilePayload):
        raise MalformedFrame('A request needs a payload named "image" of kind "pixels" or "file".')
    others = [payload for payload in header.payloads if payload is not image]
    if any(not isinstance(other, IccPayload) for other in others) or len(others) > 1:
        raise MalformedFrame("Beside the image a request carries at most one ICC profile.")
    if others and isinstance(image, FilePayload):
        raise MalformedFrame("An image file brings its own profile; leave the ICC payload out.")
    if others and isinstance(image, PixelsPayload) and image.profile is not None:
        raise MalformedFrame("The profile is given twice: by name and as an ICC payload.")
    if isinstance(image, PixelsPayload) and image.width * image.height > max_megapixels * 1e6:
        raise ImageTooLarge(
            f"The picture has {image.width} x {image.height} pixels; "
            f"{max_megapixels:g} megapixels are accepted."
        )


def picture_of(frame: Frame) -> Image | ImageFile:
    """The picture of a request that `check_picture` let pass.

    Returns:
        Pixels as an Image (f32 with the linear twin of its profile, so that the profile tells the
        truth), a file as it came.

    Raises:
        ProfileUnknown: no profile of the name that was sent is installed.
        ProfileError: f32 pixels come with a profile that has no linear form.
        PixelsUnsupported: f32 pixels hold NaN or infinity.
    """
    payload = next(payload for payload in frame.header.payloads if payload.name == IMAGE)
    view = frame.views[IMAGE]
    if isinstance(payload, FilePayload):
        return ImageFile(bytes(view), payload.media_type)
    assert isinstance(payload, PixelsPayload)  # noqa: S101 - check_picture has seen to it; this tells mypy
    icc = _profile(payload, frame)
    pixels = _pixels(payload, view)
    if payload.depth == "f32":
        if not np.isfinite(pixels).all():
            raise PixelsUnsupported(
                "The pixels hold NaN or infinity.", hint="Flatten the layer, or convert it to 16 bits."
            )
        icc = linearised(icc, gray=payload.channels == 1)
    if fault := problem(icc, 1 if payload.channels == 1 else 3):
        warning = f"The ICC profile cannot be used, so the picture is treated as sRGB: {fault}."
        return Image(pixels, icc, Metadata(warnings=(warning,)))
    return Image(pixels, icc)


def pixels_payload(name: str, pixels: Pixels) -> tuple[PixelsPayload, Buffer]:
    """Pixels as a payload, H x W x 1, 3 or 4, in the values and encoding they have.

    Raises:
        EncodingFailed: gray with alpha, which the wire has no form for.
    """
    height, width, channels = pixels.shape
    if channels == 2:
        raise EncodingFailed(
            "A gray picture with transparency has no raw form.",
            hint="Ask for TIFF or PNG instead of a frame.",
        )
    depth = DEPTHS[pixels.dtype]
    wire = np.ascontiguousarray(pixels, dtype=DTYPES[depth])
    payload = PixelsPayload.model_validate(
        {
            "name": name,
            "width": width,
            "height": height,
            "channels": channels,
            "depth": depth,
            "bytes": wire.nbytes,
        }
    )
    return payload, wire.data.cast("B")


def file_payload(name: str, data: bytes, media_type: str) -> tuple[Payload, Buffer]:
    """An image file as a payload."""
    return FilePayload(name=name, bytes=len(data), media_type=media_type), data


def icc_payload(data: bytes) -> tuple[Payload, Buffer]:
    """An ICC profile as a payload."""
    return IccPayload(name="icc", bytes=len(data)), data


def _profile(payload: PixelsPayload, frame: Frame) -> bytes | None:
    for other in frame.header.payloads:
        if isinstance(other, IccPayload):
            return bytes(frame.views[other.name])
    if payload.profile is None:
        return None
    if payload.channels == 1 and payload.profile.strip().casefold() == "srgb":
        return named_profile("sGray")
    return named_profile(payload.profile)


def _pixels(payload: PixelsPayload, view: memoryview) -> Pixels:
    wire = np.frombuffer(view, DTYPES[payload.depth])
    native = wire if sys.byteorder == "little" else wire.astype(wire.dtype.newbyteorder("="))
    # Behind other payloads a view may begin at an odd address, which OpenCV does not take.
    aligned = np.require(native, requirements=["A"])
    pixels: Pixels = aligned.reshape(payload.height, payload.width, payload.channels)
    return pixels
