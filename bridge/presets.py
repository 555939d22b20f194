"""What the user asked for, validated once: parameters and the presets that name them.

Knows nothing of files, pixels or the wire; the stores of user presets build on
these models.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema


def _written_as_number(value: object) -> object:
    if isinstance(value, bool | str):  # which Python would count with
        raise ValueError("it is no number")
    return value


Whole = Annotated[int, BeforeValidator(_written_as_number)]
"""A whole number, which true and "1" are not."""

Percent = Annotated[Whole, Field(ge=0, le=100)]
"""A slider: 0 does nothing at all, 100 is the most."""

FaceIndex = Annotated[Whole, Field(ge=0)]


class Mode(StrEnum):
    """Which spatial frequencies of the restoration are taken (docs/decisions/0003)."""

    natural = "natural"
    detail = "detail"
    strong = "strong"


class Parameters(BaseModel):
    """One enhancement, fully described.

    Attributes:
        strength: how much of the restoration reaches a face, in percent; 0: faces get none.
        denoise: edge-preserving noise reduction of the whole image; 0 is off.
        sharpen: unsharp mask on luminance of the whole image; 0 is off.
        mode: which frequencies of the restoration are taken.
        select: every face, the largest one, or faces by index in detection order.
        checkpoint: a checkpoint's name, or "auto": by face size among those installed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: Percent = 70
    denoise: Percent = 30
    sharpen: Percent = 50
    mode: Mode = Mode.natural
    select: Literal["all", "largest"] | tuple[FaceIndex, ...] = "all"
    checkpoint: Annotated[str, Field(min_length=1, max_length=100)] = "auto"


PresetName = Annotated[
    str,
    Field(pattern=r"^[\w][\w .()+-]{0,63}$"),
    # Not the pattern: to readers of JSON Schema, \w means the letters of English only.
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "description": "Letters of any script, digits, space and . ( ) + - _",
        }
    ),
]
"""A name that is also safe in a file name: letters (any script), digits, space and . ( ) + - _"""


class Preset(BaseModel):
    """Parameters under a name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: PresetName
    parameters: Parameters
    built_in: bool = False


def _built_in(name: str, strength: int, denoise: int, sharpen: int, mode: Mode) -> Preset:
    parameters = Parameters(strength=strength, denoise=denoise, sharpen=sharpen, mode=mode)
    return Preset(name=name, parameters=parameters, built_in=True)


BUILT_IN: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        _built_in("default", 70, 30, 50, Mode.natural),
        _built_in("dslr", 60, 20, 45, Mode.natural),
        _built_in("phone", 75, 35, 60, Mode.detail),
        _built_in("old-photo", 90, 60, 70, Mode.strong),
    )
}
"""The presets of a studio's practice, rated by its retouchers; read-only."""


class Output(BaseModel):
    """The form in which a result is wanted.

    Attributes:
        format: a file format, or that of the source.
        depth: bits a channel, or those of the source.
        quality: of JPEG and WebP.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["same", "tiff", "png", "jpeg", "webp"] = "same"
    depth: Literal["same", 8, 16] = "same"
    quality: Annotated[Whole, Field(ge=1, le=100)] = 95
