"""LrHttp's other end: real requests over a socket, from threads; with the failures that hosts see."""

from __future__ import annotations

import http.client
import re
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit


@dataclass
class Fault:
    """What goes wrong with the requests that match.

    Attributes:
        request: regular expression on "METHOD /path".
        how: "refused", "nothing" (nil, nil), "hangs", "lost" (answered, but the answer never arrives),
            or a status with a body.
        times: how often; then requests pass again.
        after: how many matching requests pass before.
    """

    request: str
    how: str | tuple[int, bytes]
    times: int = 10**9
    after: int = 0


@dataclass
class Exchange:
    """One request and what became of it."""

    scheme: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    deadline: float
    status: int | None = None
    content: bytes = b""
    fields: list[tuple[str, str]] = field(default_factory=list)
    failure: str | None = None
    finished: threading.Event = field(default_factory=threading.Event)
    hangs: bool = False


class Wire:
    """Starts requests, and remembers all of them."""

    def __init__(self, now: Callable[[], float], authority: Path | None = None) -> None:
        self._now = now
        self._authority = authority
        self._threads = ThreadPoolExecutor(8)
        self.exchanges: list[Exchange] = []
        self.faults: list[Fault] = []

    def start(self, method: str, url: str, body: bytes, headers: list[list[str]], timeout: float) -> int:
        parts = urlsplit(url)
        sent = {name: value for name, value in headers if value != "skip"}
        if body and not any(name.lower() == "content-type" for name, _ in headers):
            sent["Content-Type"] = "text/plain"
        if method != "GET" and not body and not any(name.lower() == "content-type" for name, _ in headers):
            sent["Content-Type"] = "text/plain"  # the host does so for an empty body too
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        exchange = Exchange(parts.scheme, method, path, sent, body, self._now() + timeout)
        self.exchanges.append(exchange)
        fault = self._fault(exchange)
        if fault is not None and fault.how != "lost":
            self._fail(exchange, fault)
        else:
            lost = fault is not None
            self._threads.submit(self._send, exchange, parts, lost)
        return len(self.exchanges) - 1

    def _fault(self, exchange: Exchange) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.request, f"{exchange.method} {exchange.path}"):
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def _fail(self, exchange: Exchange, fault: Fault) -> None:
        if fault.how == "hangs":
            exchange.hangs = True
            return
        if isinstance(fault.how, tuple):
            exchange.status, exchange.content = fault.how
        else:
            exchange.failure = {"refused": "cannotConnectToHost", "nothing": "nothing"}[fault.how]
        exchange.finished.set()

    def _send(self, exchange: Exchange, url: SplitResult, lost: bool) -> None:
        connection = http.client.HTTPConnection(url.netloc, timeout=30)
        if url.scheme == "https":
            trust = ssl.create_default_context(cafile=self._authority)
            connection = http.client.HTTPSConnection(url.netloc, timeout=30, context=trust)
        try:
            connection.request(exchange.method, exchange.path, exchange.body or None, exchange.headers)
            response = connection.getresponse()
            exchange.content = response.read()
            exchange.fields = response.getheaders()
            exchange.status = response.status
            if lost:
                exchange.failure = "networkConnectionLost"
        except ConnectionRefusedError:
            exchange.failure = "cannotConnectToHost"
        except (OSError, http.client.HTTPException):
            exchange.failure = "networkConnectionLost"
        finally:
            connection.close()
            exchange.finished.set()

    def done(self, ticket: int) -> bool:
        exchange = self.exchanges[int(ticket)]
        if exchange.finished.is_set():
            return True
        if exchange.hangs and self._now() >= exchange.deadline:
            exchange.failure = "timedOut"
            exchange.finished.set()
            return True
        return False

    def result(self, ticket: int) -> tuple[bytes | None, int | None, list[Any], str | None]:
        exchange = self.exchanges[int(ticket)]
        content = None if exchange.failure else exchange.content
        fields = [list(one) for one in exchange.fields]
        return content, exchange.status, fields, exchange.failure

    def counts(self, pattern: str) -> int:
        """How many requests were sent that match."""
        return sum(bool(re.search(pattern, f"{one.method} {one.path}")) for one in self.exchanges)
