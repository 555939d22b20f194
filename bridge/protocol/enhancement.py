"""The messages about pictures: which faces there are, what is to be done, what was done.

Knows the meaning of parameters and faces, but no bytes, pixels or HTTP.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from bridge.faces.face import Face
from bridge.presets import FaceIndex, Mode, Output, Parameters, Percent, PresetName, Whole
from bridge.protocol.message import Answer, Question, Seconds

MAX_RESULT_HEADER_BYTES = 4096
"""What `GPEN-Result` may take at most: proxies and plug-in hosts cut longer headers."""

Selection = Literal["all", "largest"] | tuple[FaceIndex, ...]
Point = tuple[float, float]
FivePoints = Annotated[tuple[Point, ...], Field(min_length=5, max_length=5)]


# --- faces ------------------------------------------------------------------


class FaceGiven(BaseModel):
    """A face that the client already knows: one of a `FacesResult`, sent back as it came.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the upright photo; (0, 0) is the centre of its first pixel.
        landmarks: left eye, right eye, nose, left and right mouth corner, (x, y) each.
        strength: this face's own strength; absent: that of the request.
    """

    # The one question that ignores unknown fields: a found face comes back with all it had.
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    box: tuple[float, float, float, float]
    landmarks: FivePoints
    score: Annotated[float, Field(ge=0, le=1)] = 1.0
    strength: Percent | None = None

    @model_validator(mode="after")
    def _box_has_area(self) -> Self:
        if not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("box must be x0, y0, x1, y1 with x0 < x1 and y0 < y1")
        return self

    def face(self) -> Face:
        """As the pipeline knows it."""
        return Face(self.box, np.array(self.landmarks, dtype=np.float64), self.score, self.strength)


class QualityGuess(Answer):
    """How good a face is in the photo; a guess, for people to look at.

    Attributes:
        sharpness: 0, blurred beyond use, to 1, crisp.
        noise: standard deviation of luma noise, of full scale.
    """

    grade: Literal["good", "soft", "poor"]
    sharpness: float
    noise: float


class FaceFound(Answer):
    """A face in an answer.

    Attributes:
        size: smaller side of the box in pixels.
        quality: only from /v1/faces, like `suggested_preset`.
        checkpoint: which checkpoint restored it; absent when it was only found or left alone.
    """

    box: tuple[float, float, float, float]
    landmarks: FivePoints
    score: float
    strength: Percent | None = None
    size: float
    quality: QualityGuess | None = None
    suggested_preset: str | None = None
    checkpoint: str | None = None

    @classmethod
    def of(cls, face: Face, **facts: Any) -> Self:
        """From the pipeline's face; coordinates rounded to a hundredth of a pixel."""
        x0, y0, x1, y1 = (round(float(value), 2) for value in face.box)
        return cls(
            box=(x0, y0, x1, y1),
            landmarks=tuple((round(float(x), 2), round(float(y), 2)) for x, y in face.landmarks),
            score=round(float(face.score), 4),
            strength=face.strength,
            size=round(face.size, 2),
            **facts,
        )


class FacesRequest(Question):
    """`POST /v1/faces`.

    Attributes:
        min_size: smallest side of a face in pixels; absent: the setting `min_face`.
        min_score: detection score under which a face is ignored; absent: the setting `min_score`.
    """

    min_size: Annotated[float, Field(ge=8, le=4096)] | None = None
    min_score: Annotated[float, Field(ge=0, le=1)] | None = None


class FacesResult(Answer):
    """What was found in a photo of `width` x `height` upright pixels."""

    width: int
    height: int
    faces: tuple[FaceFound, ...]
    suggested_preset: str
    seconds: dict[str, Seconds]
    warnings: tuple[str, ...] = ()


# --- enhance ----------------------------------------------------------------


class ParameterChanges(Question):
    """The parameters that differ from the preset's."""

    strength: Percent | None = None
    denoise: Percent | None = None
    sharpen: Percent | None = None
    mode: Mode | None = None
    select: Selection | None = None
    checkpoint: Annotated[str, Field(min_length=1, max_length=100)] | None = None

    def onto(self, base: Parameters) -> Parameters:
        """`base` with what is set here."""
        return base.model_copy(update=self.model_dump(exclude_none=True))


class OutputRequest(Question):
    """How the enhanced picture comes back.

    Attributes:
        format: `same` as came in; `frame` answers with raw pixels.
        depth: bits a channel.
        quality: of JPEG and WebP.
    """

    format: Literal["same", "tiff", "png", "jpeg", "webp", "frame"] = "same"
    depth: Literal["same", 8, 16] = "same"
    quality: Annotated[Whole, Field(ge=1, le=100)] = 95

    @property
    def file(self) -> Output:
        """As the pipeline knows it, for an answer that is a file."""
        format_ = "same" if self.format == "frame" else self.format
        return Output(format=format_, depth=self.depth, quality=self.quality)


class EnhanceRequest(Question):
    """`POST /v1/enhance`.

    Attributes:
        preset: a built-in or user preset; the parameters start from it.
        params: what differs from the preset.
        faces: faces found before; then nothing is detected.
        select: shorthand for `params.select`, and above it.
        compose: `composite`: the finished picture and where it changed. `layers`: the restoration
            before mask and strength and the feather, for photo * (1 - mask * o) + image * mask * o.
    """

    preset: PresetName = "default"
    params: ParameterChanges = ParameterChanges()
    faces: tuple[FaceGiven, ...] | None = None
    select: Selection | None = None
    compose: Literal["composite", "layers"] = "composite"
    output: OutputRequest = OutputRequest()

    def parameters(self, base: Parameters) -> Parameters:
        """What is asked for, `base` being the preset's parameters."""
        asked = self.params.onto(base)
        return asked if self.select is None else asked.model_copy(update={"select": self.select})


class EnhanceResult(Answer):
    """What was done; the pictures lie beside it in the frame.

    Attributes:
        opacity: 0-1, what a client that composes layers gives its layer.
    """

    width: int
    height: int
    preset: str
    opacity: float
    parameters: Parameters
    faces: tuple[FaceFound, ...]
    seconds: dict[str, Seconds]
    warnings: tuple[str, ...] = ()


class ResultSummary(Answer):
    """What fits the `GPEN-Result` header: counts instead of lists.

    Attributes:
        found: faces in the photo.
        restored: faces that were changed.
        warnings_left_out: how many warnings found no room.
    """

    width: int
    height: int
    found: int
    restored: int
    seconds: dict[str, Seconds]
    warnings: tuple[str, ...] = ()
    warnings_left_out: int = 0

    @classmethod
    def of(cls, result: EnhanceResult) -> ResultSummary:
        """The summary of a full result."""
        return cls(
            width=result.width,
            height=result.height,
            found=len(result.faces),
            restored=sum(face.checkpoint is not None for face in result.faces),
            seconds={name: round(value, 3) for name, value in result.seconds.items()},
            warnings=result.warnings,
        )

    def header(self) -> str:
        """base64url JSON without padding, at most 4 kB; warnings that do not fit are counted."""
        for kept in range(len(self.warnings), -1, -1):
            left_out = len(self.warnings) - kept
            short = self.model_copy(update={"warnings": self.warnings[:kept], "warnings_left_out": left_out})
            encoded = base64.urlsafe_b64encode(short.model_dump_json().encode()).rstrip(b"=")
            if len(encoded) <= MAX_RESULT_HEADER_BYTES:
                return encoded.decode("ascii")
        raise ValueError("the seconds alone are too long for a header")

    @classmethod
    def from_header(cls, value: str) -> ResultSummary:
        """The summary from the header's text.

        Raises:
            ValueError: not base64url JSON of a summary.
        """
        return cls.model_validate_json(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
