"""A program of another user on a port where a bridge was: says that it is one, and keeps what it is sent."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError

from bridge.protocol import PROTOCOL
from bridge.protocol.proof import HEADER


@dataclass
class Impostor:
    """What it does with the question for a proof, and what it has got.

    Attributes:
        how: "mute" (says that it knows no such token), "guesses", "replays" (a proof that the bridge gave
            for another nonce), or "relays" (asks the real bridge on its other port).
        bridge: address of the real bridge.
        heard: every request: method, path, headers by lower-case name, body.
    """

    how: str
    bridge: str = ""
    port: int = 0
    heard: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    _kept: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def got_nothing(self) -> bool:
        """No token, no picture, no order: only questions how it is."""
        return all(
            method == "GET" and path.startswith("/v1/health") and "authorization" not in headers and not body
            for method, path, headers, body in self.heard
        )

    def proof(self, path: str) -> str | None:
        if "?" not in path or self.how == "mute":
            return None
        if self.how == "guesses":
            return "0" * 64
        if self.how == "replays" and self._kept:
            return self._kept
        with urllib.request.urlopen(self.bridge + path) as answer:  # noqa: S310 - our own address
            self._kept = answer.headers[HEADER]
        return self._kept


@contextmanager
def impostor(how: str, *, bridge: str = "") -> Iterator[Impostor]:
    """Runs for as long as the block."""
    running = Impostor(how, bridge)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            running.heard.append((self.command, self.path, headers, body))
            told = {"service": "gpen-bridge", "status": "ok", "version": "0.1.0", "protocol": PROTOCOL}
            said = json.dumps(told).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(said)))
            try:
                proof = running.proof(self.path)
            except HTTPError:
                proof = None
            if proof is not None:
                self.send_header(HEADER, proof)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
