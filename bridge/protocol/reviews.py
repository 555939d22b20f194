"""The messages about review: a person's verdict on a finished photo, and what they add up to."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from bridge.presets import PresetName
from bridge.protocol.enhancement import ParameterChanges
from bridge.protocol.jobs import ItemState, Verdict
from bridge.protocol.message import Answer, Question


class ReviewRequest(Question):
    """`POST /v1/jobs/{job}/items/{item}/review`.

    Attributes:
        verdict: `redo` queues the photo again, as a new item of the same job; `none` takes a verdict back.
        note: what the person wants to add.
        preset: with `redo`: another preset to start from; absent: the parameters that the item had.
        params: with `redo`: what differs from that.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "if": {"properties": {"verdict": {"const": Verdict.redo}}},
            "else": {
                "properties": {
                    "preset": {"type": "null"},
                    "params": {"additionalProperties": {"type": "null"}},
                }
            },
        }
    )

    verdict: Verdict
    note: Annotated[str, Field(max_length=1000)] = ""
    preset: PresetName | None = None
    params: ParameterChanges = ParameterChanges()

    @model_validator(mode="after")
    def _parameters_are_for_redo(self) -> Self:
        if self.verdict is not Verdict.redo and (self.preset or self.params != ParameterChanges()):
            raise ValueError("`preset` and `params` go with the verdict `redo` only")
        return self


class ReviewResult(Answer):
    """The item that was judged, and after `redo` the one that tries again."""

    item: ItemState
    redo: ItemState | None = None


class PresetAcceptance(Answer):
    """What people said about one preset.

    Attributes:
        rate: accepted of all verdicts, 0 to 1; absent while there are none.
    """

    preset: str
    done: int
    unreviewed: int
    accepted: int
    rejected: int
    redo: int
    rate: float | None = None


class ReviewSummary(Answer):
    """`GET /v1/reviews`: acceptance by preset, the most used first."""

    presets: tuple[PresetAcceptance, ...]
