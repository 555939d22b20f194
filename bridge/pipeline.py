"""The story on one page: bytes in, bytes out.

The keystone: the only file that knows both pillars, pixels and tensors. Everything here
is synchronous and runs in a worker thread; what it needs is handed in as `Tools`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from bridge import __version__
from bridge.checkpoints import Entry
from bridge.errors import Cancelled, InvalidRequest
from bridge.faces.align import align
from bridge.faces.bands import residual
from bridge.faces.blend import Patch, blend, coverage, layers
from bridge.faces.detect import Detector
from bridge.faces.face import Crop, Face
from bridge.faces.mask import feather_mask
from bridge.imaging.codecs import Format, decode, encode, sniff
from bridge.imaging.colour import filtered, from_working, to_working
from bridge.imaging.denoise import denoise
from bridge.imaging.image import FloatPixels, Image, Pixels
from bridge.imaging.provenance import Provenance, stamp
from bridge.imaging.sharpen import sharpen
from bridge.metrics import Stages
from bridge.presets import Output, Parameters

CROPS_AT_ONCE = 8
"""Crops held in memory together: a photo with a hundred faces needs no more than one with eight."""


class Restorer(Protocol):
    """What the pipeline needs of an engine."""

    def restore(
        self,
        checkpoint: str,
        crops: FloatPixels,
        *,
        urgent: bool = True,
        cancelled: threading.Event | None = None,
    ) -> FloatPixels:
        """N x S x S x 3 float32 in [0, 1], sRGB-encoded, to the same, not clipped."""
        ...


class Catalogue(Protocol):
    """What the pipeline needs of the checkpoints."""

    def pick(self, name: str, face_size: float) -> Entry:
        """The installed checkpoint of that name, or for "auto" the one for a face of this size."""
        ...


@dataclass(frozen=True)
class Tools:
    """What the pipeline works with, wired together once.

    Attributes:
        min_face: smallest side of a face in pixels of the photo.
        min_score: detection score from which a face counts.
        max_megapixels: pixel budget of one picture.
    """

    detector: Detector
    engine: Restorer
    checkpoints: Catalogue
    min_face: float = 24
    min_score: float = 0.6
    max_megapixels: float = 250


@dataclass(frozen=True, eq=False)
class RestoredFace:
    """A face of the photo, and the checkpoint that restored it; None if it was left alone."""

    face: Face
    checkpoint: Entry | None = None


@dataclass(frozen=True, eq=False)
class Enhancement:
    """A picture enhanced.

    Attributes:
        image: the finished picture, or the restoration alone if layers were asked for.
        mask: H x W x 1 of the image's dtype, where faces changed it; None unless asked for.
        opacity: the strength, 0-1, that a client which composes layers gives its layer.
        faces: every face, in detection order.
        seconds: by stage.
    """

    image: Image
    mask: Pixels | None
    opacity: float
    faces: tuple[RestoredFace, ...]
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class EnhancedFile:
    """A finished file, whole in memory, and what the user should know about it."""

    data: bytes
    format: Format
    media_type: str
    enhancement: Enhancement
    warnings: tuple[str, ...]


def find_faces(image: Image, tools: Tools) -> list[Face]:
    """The faces of an upright photo, largest first, in its own pixels."""
    return tools.detector.detect(image, min_size=tools.min_face, min_score=tools.min_score)


def enhance_file(
    data: bytes,
    parameters: Parameters,
    output: Output,
    tools: Tools,
    *,
    preset: str | None = None,
    faces: Sequence[Face] | None = None,
    with_mask: bool = False,
    urgent: bool = True,
    cancelled: threading.Event | None = None,
    stages: Stages | None = None,
) -> EnhancedFile:
    """Decode, enhance, stamp with what was done, encode.

    The same bytes and parameters give the same bytes on a CPU engine: nothing that varies
    (time, ids) goes into pixels or metadata.

    Raises:
        ImageError: the file is not a picture that we read, or cannot be written as asked.
        BridgeError: whatever `enhance` raises.
    """
    stages = stages or Stages()
    with stages.stage("decode"):
        image = decode(data, max_megapixels=tools.max_megapixels)
    enhancement = enhance(
        image,
        parameters,
        tools,
        faces=faces,
        with_mask=with_mask,
        urgent=urgent,
        cancelled=cancelled,
        stages=stages,
    )
    format_ = sniff(data) if output.format == "same" else Format(output.format)
    with stages.stage("encode"):
        metadata = stamp(image.metadata, _provenance(enhancement, parameters, preset))
        finished = replace(enhancement.image, metadata=metadata)
        depth = None if output.depth == "same" else output.depth
        encoded = encode(finished, format_, depth=depth, quality=output.quality)
    _stop_if(cancelled)
    return EnhancedFile(
        encoded.data,
        format_,
        encoded.media_type,
        replace(enhancement, seconds=stages.seconds),
        metadata.warnings + encoded.warnings,
    )


def enhance(
    image: Image,
    parameters: Parameters,
    tools: Tools,
    *,
    faces: Sequence[Face] | None = None,
    as_layers: bool = False,
    with_mask: bool = False,
    urgent: bool = True,
    cancelled: threading.Event | None = None,
    stages: Stages | None = None,
) -> Enhancement:
    """Enhance one picture; `image` is not modified.

    Args:
        image: upright, any depth, any RGB or gray profile.
        parameters: what is wanted.
        tools: what does it.
        faces: given faces skip the detection; each may carry its own strength.
        as_layers: give the restoration before mask and strength, and the mask.
        with_mask: tell where the faces changed the picture.
        urgent: interactive; goes before batch work on the device.
        cancelled: looked at between stages, faces and network passes.
        stages: where to record the seconds.

    Raises:
        InvalidRequest: layers together with denoise or sharpen, or a face index that is not there.
        DegenerateLandmarks: a face that was given is not one.
        CheckpointError, EngineError: the network cannot be used.
        Cancelled: `cancelled` was set.
    """
    stages = stages or Stages()
    if as_layers and (parameters.denoise or parameters.sharpen):
        raise InvalidRequest(
            "Layers hold the faces alone: denoise and sharpen must be 0.",
            hint="Ask for denoise and sharpen in a request of their own, with strength 0.",
        )
    wanted = as_layers or parameters.strength > 0 or any(face.strength for face in faces or ())
    with stages.stage("detect"):
        found = list(faces) if faces is not None else find_faces(image, tools) if wanted else []
    chosen = _select(found, parameters) if wanted else []
    # One that is not to change costs nothing; layers that are not to show are made all the same.
    chosen = [index for index in chosen if _strength(found[index], parameters)] or (
        chosen if as_layers else []
    )
    _stop_if(cancelled)

    with stages.stage("denoise"):
        quiet = filtered(
            image.colour,
            image.icc,
            lambda colour: denoise(colour, parameters.denoise, cancelled=cancelled),
        )
    with stages.stage("restore"):
        restored = _restore(image, quiet, found, chosen, parameters, tools, urgent, cancelled)
    patches = [patch for _, patch in restored.values()]
    opacity = max((patch.weight for patch in patches), default=parameters.strength / 100)
    mask: Pixels | None = None
    with stages.stage("blend"):
        if as_layers:
            colour, mask = layers(quiet, patches)
        else:
            colour = blend(quiet, patches)
            mask = coverage(quiet, patches) if with_mask else None
    _stop_if(cancelled)
    with stages.stage("sharpen"):
        colour = filtered(
            colour, image.icc, lambda colour: sharpen(colour, parameters.sharpen, cancelled=cancelled)
        )
    outcomes = tuple(
        RestoredFace(face, restored[index][0] if index in restored else None)
        for index, face in enumerate(found)
    )
    return Enhancement(image.with_colour(colour), mask, opacity, outcomes, stages.seconds)


def _select(faces: Sequence[Face], parameters: Parameters) -> list[int]:
    """Indices of the faces that are wanted, in order."""
    if parameters.select == "all":
        return list(range(len(faces)))
    if parameters.select == "largest":
        return [max(range(len(faces)), key=lambda index: faces[index].size)] if faces else []
    if missing := [index for index in parameters.select if index >= len(faces)]:
        raise InvalidRequest(
            f"Face {missing[0]} was selected; numbered from 0, the picture has {len(faces)}.",
            hint="List them with `gpen-bridge faces PHOTO` (programs: /v1/faces).",
        )
    return sorted(set(parameters.select))


def _strength(face: Face, parameters: Parameters) -> float:
    """0-100: the face's own, else the picture's."""
    return parameters.strength if face.strength is None else face.strength


def _restore(
    image: Image,
    quiet: Pixels,
    faces: Sequence[Face],
    chosen: Sequence[int],
    parameters: Parameters,
    tools: Tools,
    urgent: bool,
    cancelled: threading.Event | None,
) -> dict[int, tuple[Entry, Patch]]:
    """The chosen faces, restored: by index the checkpoint used and what to add to `quiet`.

    The network sees the photo as it is; the residual is measured against `quiet`, the
    photo after noise reduction, to which it will be added.
    """
    restored: dict[int, tuple[Entry, Patch]] = {}
    for start in range(0, len(chosen), CROPS_AT_ONCE):
        waiting: dict[Entry, list[int]] = {}
        for index in chosen[start : start + CROPS_AT_ONCE]:
            entry = tools.checkpoints.pick(parameters.checkpoint, faces[index].size)
            waiting.setdefault(entry, []).append(index)
        for entry, indices in waiting.items():
            _stop_if(cancelled)
            seen = [
                align(image.colour, faces[index], entry.template, entry.side, entry.crop_border)
                for index in indices
            ]
            crops = np.stack([np.clip(to_working(crop.pixels, image.icc), 0, 1) for crop in seen])
            answers = tools.engine.restore(entry.name, crops, urgent=urgent, cancelled=cancelled)
            for index, crop, answer in zip(indices, seen, answers, strict=True):
                if parameters.denoise:
                    crop = align(quiet, faces[index], entry.template, entry.side, entry.crop_border)
                weight = _strength(faces[index], parameters) / 100
                restored[index] = entry, _patch(crop, answer, image.icc, parameters, weight)
    return restored


def _patch(
    crop: Crop, restored: FloatPixels, icc: bytes | None, parameters: Parameters, weight: float
) -> Patch:
    """What to add to the photo, in the photo's own encoding, computed on the crop alone."""
    channels: Literal[1, 3] = 1 if crop.pixels.shape[2] == 1 else 3
    working = to_working(crop.pixels, icc)
    change = residual(working, restored, crop.landmarks, parameters.mode)
    before = from_working(working, icc, channels=channels)
    after = from_working(working + change, icc, channels=channels)
    difference = after - before
    if channels == 3 and _is_gray(crop.pixels):
        # Gray stored as RGB: colour conversion may not tint it, not even by a rounding.
        difference = np.repeat(difference.mean(axis=2, keepdims=True), 3, axis=2)
    return Patch(difference, feather_mask(crop.landmarks, crop.side), crop.transform, weight).compact()


def _is_gray(pixels: FloatPixels) -> bool:
    red, green, blue = (pixels[..., channel] for channel in range(3))
    return bool((red == green).all() and (green == blue).all())


def _provenance(enhancement: Enhancement, parameters: Parameters, preset: str | None) -> Provenance:
    used = sorted(
        {face.checkpoint for face in enhancement.faces if face.checkpoint}, key=lambda entry: entry.name
    )
    return Provenance(
        preset=preset or "",
        parameters=parameters.model_dump(mode="json"),
        checkpoint=", ".join(entry.name for entry in used) or None,
        checkpoint_sha256=", ".join(entry.sha256 or "unknown" for entry in used) or None,
        version=__version__,
        restored=bool(used),
        filtered=bool(parameters.denoise or parameters.sharpen),
    )


def _stop_if(cancelled: threading.Event | None) -> None:
    if cancelled is not None and cancelled.is_set():
        raise Cancelled
