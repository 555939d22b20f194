"""What every JSON message has in common: frozen, strict in what is asked, patient in what is read.

Requests refuse unknown fields, so that a misspelt one is named instead of ignored;
answers ignore them, so that an older plug-in reads a newer bridge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.errors import InvalidRequest

Seconds = Annotated[float, Field(ge=0)]


def exactly_one(*names: str) -> dict[str, Any]:
    """JSON Schema for "one of these is given", which a validator of the model checks."""
    return {"oneOf": [{"required": [name], "properties": {name: {"type": "string"}}} for name in names]}


class Question(BaseModel):
    """Base of what clients send: unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, content: Any) -> Self:
        """The model from parsed JSON.

        Raises:
            InvalidRequest: names the first field that is wrong.
        """
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            problem = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(str(part) for part in problem["loc"]) or "body"
            raise InvalidRequest(f"{place}: {problem['msg']}.") from error

    @classmethod
    def parse_json(cls, data: bytes) -> Self:
        """The model from JSON in UTF-8; strict about NaN, lone surrogates and nesting.

        Raises:
            InvalidRequest: not JSON, or a field is wrong.
        """
        try:
            return cls.parse(pydantic_core.from_json(data, allow_inf_nan=False))
        except ValueError as error:
            raise InvalidRequest(f"The body is not JSON: {error}.") from error


class Answer(BaseModel):
    """Base of what the bridge sends: readers ignore fields they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


def message(model: BaseModel) -> Mapping[str, Any]:
    """A model as plain JSON values, absent fields left out: the message of a frame."""
    content: dict[str, Any] = model.model_dump(mode="json", exclude_none=True)
    return content
