"""The person in front of the emulated program: a generator that looks at dialogs and acts on them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import lupa.lua51 as lupa

if TYPE_CHECKING:
    from tests.plugins.lightroom.host import Host

Person = Callable[["Dialog"], Generator[float, None, str]]
"""Yields seconds to wait; returns the verb that closes the dialog."""


@dataclass
class Message:
    """Something that the host showed, and when by its clock."""

    style: str
    text: str
    info: str
    at: float = 0.0


class Dialog:
    """A dialog as a person sees it: controls are found by what they are bound to or what they say.

    Args:
        fetch: gives the Lua table. It is fetched anew each time: a table that Python got while a
            coroutine ran must not be held when that coroutine is gone (lupa keeps its state with it).
    """

    def __init__(self, host: Host, fetch: Callable[[], Any]) -> None:
        self._host = host
        self._fetch = fetch

    @property
    def _table(self) -> Any:
        return self._fetch()

    @property
    def title(self) -> str:
        return _text(self._table[b"arguments"][b"title"])

    def _views(self) -> Iterable[tuple[str, Any, Any]]:
        for pair in self._table[b"views"].values():
            view, bound_to = pair[1], pair[2]
            yield _text(view[b"kind"]), view[b"arguments"], bound_to

    def _shown(self, argument: Any, bound_to: Any) -> Any:
        return self._host.from_lua(self._host.kernel[b"shown"](argument, bound_to))

    def texts(self) -> list[str]:
        """Every text that is to be read."""
        found = []
        for _, arguments, bound_to in self._views():
            if arguments[b"title"] is not None and self._shown(arguments[b"visible"], bound_to) is not False:
                found.append(str(self._shown(arguments[b"title"], bound_to)))
        return found

    def _control(self, key: str) -> tuple[Any, Any]:
        for _, arguments, bound_to in self._views():
            value = arguments[b"value"]
            if lupa.lua_type(value) == "table" and value[b"key"] == key.encode():
                return arguments, bound_to
        raise AssertionError(f"no control is bound to {key}")

    def get(self, key: str) -> Any:
        arguments, bound_to = self._control(key)
        return self._shown(arguments[b"value"], bound_to)

    def set(self, key: str, value: Any) -> None:
        """Move a control."""
        arguments, bound_to = self._control(key)
        assert self._shown(arguments[b"enabled"], bound_to) is not False, f"{key} is disabled"
        self._host.kernel[b"set"](arguments[b"value"], bound_to, self._host.to_lua(value))

    def items(self, key: str) -> list[Any]:
        arguments, bound_to = self._control(key)
        return [item["value"] for item in self._shown(arguments[b"items"], bound_to)]

    def press(self, title: str) -> None:
        """Press a button."""
        for kind, arguments, bound_to in self._views():
            if kind == "push_button" and self._shown(arguments[b"title"], bound_to) == title:
                assert self._shown(arguments[b"enabled"], bound_to) is not False, f"{title} is disabled"
                arguments[b"action"](self._table)
                return
        raise AssertionError(f"no button {title}")

    def pictures(self) -> list[str]:
        return [
            self._shown(arguments[b"value"], bound_to)
            for kind, arguments, bound_to in self._views()
            if kind == "picture"
        ]


def nobody(_: Dialog) -> Generator[float, None, str]:
    """Closes a dialog that no test expected."""
    yield 0.0
    return "cancel"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
