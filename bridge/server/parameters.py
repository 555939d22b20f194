"""What an address or a header says beside the body: read here, published from the same facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from bridge.errors import InvalidRequest

E = TypeVar("E", bound=str)


@dataclass(frozen=True)
class Parameter:
    """A query parameter or a request header; by itself one that takes any text.

    Attributes:
        name: as it is sent.
        meaning: for people.
        required: whether a request without it is refused.
    """

    name: str
    meaning: str
    required: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return {"type": "string"}


@dataclass(frozen=True)
class Text(Parameter):
    """Text of a certain form.

    Attributes:
        pattern: all of it must match.
        form: what that is in words, for the one who sent something else.
    """

    pattern: str = ".*"
    form: str = ""

    @property
    def schema(self) -> dict[str, Any]:
        """As of `Parameter`."""
        return {"type": "string", "pattern": f"^{self.pattern}$"}

    def read(self, values: Mapping[str, str]) -> str | None:
        """The text; None if absent.

        Raises:
            InvalidRequest: it has another form.
        """
        text = values.get(self.name)
        if text is not None and not re.fullmatch(self.pattern, text):
            raise InvalidRequest(f"{self.name} must be {self.form}.")
        return text


@dataclass(frozen=True)
class Number(Parameter):
    """A whole number.

    Attributes:
        low, high: both are allowed.
        default: if it is absent; not published when it is below `low`, and so only ours. None: it may not
            be absent.
    """

    low: int = 0
    high: int = 10**9 - 1
    default: int | None = None

    @property
    def schema(self) -> dict[str, Any]:
        """As of `Parameter`."""
        given = self.default is not None and self.default >= self.low
        told = {"default": self.default} if given else {}
        return {"type": "integer", "minimum": self.low, "maximum": self.high, **told}

    def read(self, values: Mapping[str, str]) -> int:
        """The number, or the default.

        Raises:
            InvalidRequest: it is no whole number in decimal digits, or out of bounds.
        """
        text = values.get(self.name)
        if text is None and self.default is not None:
            return self.default
        # All of it counts: digits cut off before the comparison would pass any number.
        if text is None or not re.fullmatch(r"[0-9]{1,15}", text) or not self.low <= int(text) <= self.high:
            raise InvalidRequest(f"{self.name} must be a number from {self.low} to {self.high}.")
        return int(text)


@dataclass(frozen=True)
class Choice(Parameter, Generic[E]):
    """One of a few words.

    Attributes:
        words: all that there are.
    """

    words: tuple[E, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """As of `Parameter`."""
        return {"type": "string", "enum": [str(word) for word in self.words]}

    def read(self, values: Mapping[str, str]) -> E | None:
        """The word; None if absent.

        Raises:
            InvalidRequest: it is another one.
        """
        text = values.get(self.name)
        found = next((word for word in self.words if word == text), None)
        if text is not None and found is None:
            raise InvalidRequest(f"{self.name} is one of {', '.join(self.words)}.")
        return found
