"""One session with one bridge: requests, and problem documents turned back into what was raised.

Knows addresses and headers, but no message of the protocol.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
from pydantic import BaseModel, ValidationError

from bridge.errors import BridgeError, BridgeUnreachable, ProtocolMismatch, codes
from bridge.protocol.message import message
from bridge.protocol.service import Problem

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""For everything but pictures, which take as long as they take."""
CHUNK_BYTES = 1024**2
HEARTBEAT_SECONDS = 30.0
MAX_EVENT_BYTES = 16 * 1024**2

M = TypeVar("M", bound=BaseModel)


class Connection:
    """A base address and a token, with a session between `open` and `close`.

    Every method raises BridgeUnreachable when nothing answers, and else what the bridge raised.
    """

    def __init__(self, url: str, token: str) -> None:
        self.token = token
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Begin the session."""
        # No trust_env: a proxy in the environment must never see what goes to loopback.
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )

    async def close(self) -> None:
        """End it."""
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        model: type[M],
        question: BaseModel | None = None,
        *,
        query: Mapping[str, str | int | None] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> M:
        """Send a JSON question, get a JSON answer; query parameters that are None are left out."""
        body: dict[str, Any] = {"headers": dict(headers or {})}
        if question is not None or method == "POST":
            body["json"] = {} if question is None else message(question)
        if query:
            body["params"] = {name: str(value) for name, value in query.items() if value is not None}
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        async with self.answer(method, path, timeout=timeout, **body) as response:
            return parsed(model, await response.read())

    @asynccontextmanager
    async def answer(self, method: str, path: str, **body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response that is no error, open for as long as the block lasts."""
        try:
            async with self._opened().request(method, self.url + path, **body) as response:
                if response.status >= 400:
                    raise _error_from(await response.read(), response.status)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, open for as long as the block lasts."""
        try:
            async with self._opened().ws_connect(
                self.url + path, heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_EVENT_BYTES
            ) as socket:
                yield socket
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use the client inside `async with`")
        return self._session

    def _unreachable(self, error: Exception) -> BridgeUnreachable:
        return BridgeUnreachable(f"{self.url} does not answer: {str(error) or type(error).__name__}.")


def parsed(model: type[M], content: Mapping[str, Any] | bytes) -> M:
    """A frame's message, or the bytes of a JSON body, as its model.

    Raises:
        ProtocolMismatch: it is none.
    """
    try:
        if isinstance(content, bytes):
            return model.model_validate_json(content)
        return model.model_validate(content)
    except ValidationError as error:
        raise ProtocolMismatch(f"The bridge's answer is not a {model.__name__}.") from error


def _error_from(body: bytes, status: int) -> BridgeError:
    """What the bridge raised, as the same class; BridgeError where the code is not known here."""
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        return BridgeUnreachable(f"Something that is not the bridge answered {status}.")
    return codes().get(problem.code, BridgeError)(problem.detail, hint=problem.hint)
