"""The application log: JSON lines in a rotated file; serves its end at /v1/log.

Tokens and pixels never reach it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from bridge.atomic import private_folder
from bridge.errors import InvalidRequest, OutputError
from bridge.server.parameters import Number
from bridge.server.route import Route

MAX_FILE_BYTES = 4 * 1024**2
FILES_KEPT = 3
DEFAULT_LINES = 200
MAX_LINES = 5000


class Log:
    """The log of one bridge, open until `close`."""

    def __init__(self, path: Path, level: str) -> None:
        private_folder(path.parent)
        self._path = path
        self._handler = _File(
            path, maxBytes=MAX_FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", delay=True
        )
        # A logger of our own, outside the process-wide tree: two bridges in one test run never mix.
        self._sink = logging.Logger("gpen-bridge", level.upper())
        self._sink.addHandler(self._handler)
        self.logger: Any = structlog.wrap_logger(
            self._sink,
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),  # ASCII: takes any text that a stranger sends
            ],
            wrapper_class=structlog.stdlib.BoundLogger,
        )

    def tail(self, lines: int) -> bytes:
        """The last lines of the current file, UTF-8, oldest first.

        Raises:
            OutputError: the file cannot be read.
        """
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise OutputError(
                f"{self._path} could not be read: {error.strerror or error}.",
                hint="Look who owns the file, and whether you may read it.",
            ) from error
        return b"".join(content.splitlines(keepends=True)[-lines:])

    def close(self) -> None:
        """Close the file; what is logged afterwards is dropped, and does not open it again."""
        self._sink.disabled = True
        with suppress(OSError):  # lines that a full disk did not take
            self._handler.close()


class _File(RotatingFileHandler):
    """A log that cannot be written costs its lines and nothing else; the first time it is told."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Called instead of raising; the library's own prints a traceback for each line."""
        if not self._told:
            self._told = True
            reason = getattr(sys.exception(), "strerror", None) or "the line cannot be written"
            sys.stderr.write(f"gpen-bridge: nothing is logged to {self.baseFilename}: {reason}\n")


LOG = web.AppKey("log", Log)
LINES = Number("lines", "How many lines.", low=1, high=MAX_LINES, default=DEFAULT_LINES)


async def read_log(request: web.Request) -> web.StreamResponse:
    """The end of the application log, as JSON lines."""
    body = await asyncio.to_thread(request.app[LOG].tail, LINES.read(request.query))
    return web.Response(body=body, content_type="application/x-ndjson")


ROUTES = (
    Route(
        "GET",
        "/v1/log",
        read_log,
        gives="application/x-ndjson",
        query=(LINES,),
        errors=(InvalidRequest, OutputError),
    ),
)
