"""What every verb says in the same way: JSON, tables, and a failure in three lines."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from bridge.errors import BridgeError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]

people = Console(highlight=False)
"""Standard output, for people."""
notices = Console(stderr=True, highlight=False)
"""Standard error: progress and failures, never part of the result."""


def take_any_text() -> None:
    """Make standard output and error take every name: a file's need not fit a code page, nor be text at all.

    What goes to a file or another program is UTF-8 everywhere; a terminal keeps its encoding.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # there is none where no console is
            encoding = stream.encoding if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def print_json(content: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def print_json_line(content: Any) -> None:
    """One JSON document on a line of its own, at once: for verbs that go on and on."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_bytes(content: bytes) -> None:
    """Standard output as it is: no line end is translated."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def described(error: BridgeError) -> dict[str, str]:
    """A failure as it appears in JSON."""
    return {"code": error.code, "title": error.title, "detail": error.detail, "hint": error.hint}


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """Turn a named failure into its report and exit status 1."""
    try:
        yield
    except BridgeError as error:
        if as_json:
            print_json({"error": described(error)})
        else:
            tell(error)
        raise typer.Exit(1) from error


def tell(error: BridgeError) -> None:
    """A failure for people, in three lines."""
    # Wrapped by the terminal alone: addresses and commands in there are copied.
    notices.print(f"[bold red]{error.title}[/]", markup=True)
    notices.print(error.detail, markup=False, soft_wrap=True)
    notices.print(error.hint, style="dim", markup=False, soft_wrap=True)
