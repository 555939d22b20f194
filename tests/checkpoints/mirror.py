"""A real HTTP server on loopback whose files misbehave as they are told to."""

from __future__ import annotations

import http.server
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Served:
    """One address.

    Attributes:
        content: the file.
        status: answered instead of the file when it is not 200.
        location: redirected to, when given.
        cut_after: for each connection in turn, bytes after which it ends; then no more cuts.
        ranges: whether a Range is honoured.
        says_length: whether Content-Length is told.
        shift: bytes by which a continued answer starts too early.
        asked: the Range header of each request.
    """

    content: bytes = b""
    status: int = 200
    location: str | None = None
    cut_after: list[int] = field(default_factory=list)
    ranges: bool = True
    says_length: bool = True
    shift: int = 0
    asked: list[str | None] = field(default_factory=list)


class Mirror:
    """Serves `files` by path until it is left."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                served = mirror.files.get(self.path, Served(status=404))
                served.asked.append(self.headers["Range"])
                _answer(self, served)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 http.server's name
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def serve(self, path: str, **how: object) -> str:
        """Put something there and tell its address."""
        self.files[path] = Served(**how)  # type: ignore[arg-type]  # the tests name the fields
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _answer(request: http.server.BaseHTTPRequestHandler, served: Served) -> None:
    if served.location is not None:
        request.send_response(302)
        request.send_header("Location", served.location)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    if served.status != 200:
        request.send_error(served.status)
        return
    start = 0
    asked = request.headers["Range"]
    if asked and served.ranges:
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(served.content):
            request.send_error(416)
            return
        start -= served.shift
        request.send_response(206)
        end, total = len(served.content) - 1, len(served.content)
        request.send_header("Content-Range", f"bytes {start}-{end}/{total}")
    else:
        request.send_response(200)
    body = served.content[start:]
    if served.says_length:
        request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body[: served.cut_after.pop(0)] if served.cut_after else body)
