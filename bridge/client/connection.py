"""One session with one bridge: requests, and problem documents turned back into what was raised.

Knows addresses and headers, but no message of the protocol.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ValidationError

from bridge.errors import BridgeError, BridgeUnreachable, ProtocolMismatch, Unauthorized, codes
from bridge.protocol.message import message
from bridge.protocol.proof import HEADER, name_of, proof, secret_of
from bridge.protocol.service import Health, Problem

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""For everything but pictures, which take as long as they take."""
CHUNK_BYTES = 1024**2
HEARTBEAT_SECONDS = 30.0
MAX_EVENT_BYTES = 16 * 1024**2

M = TypeVar("M", bound=BaseModel)


class Connection:
    """A base address and a token, with a session between `open` and `close`.

    Every method raises BridgeUnreachable when nothing answers or what answers is not the bridge of the token,
    and else what the bridge raised.
    """

    def __init__(self, url: str, token: str) -> None:
        self.token = token
        self.url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Begin the session."""
        # No trust_env: a proxy in the environment must never see what goes to loopback.
        self._session = aiohttp.ClientSession(
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
        body: dict[str, Any] = {"headers": headers}
        if question is not None or method == "POST":
            body["json"] = {} if question is None else message(question)
        if query:
            body["params"] = {name: str(value) for name, value in query.items() if value is not None}
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        async with self.answer(method, path, timeout=timeout, **body) as response:
            return parsed(model, await response.read())

    @asynccontextmanager
    async def answer(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **body: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response that is no error, open for as long as the block lasts."""
        try:
            await self._prove()
            async with self._opened().request(
                method, self.url + path, headers=self._authorized(headers), **body
            ) as response:
                if response.status >= 400:
                    raise _error_from(await response.read(), response.status)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, open for as long as the block lasts."""
        try:
            await self._prove()
            async with self._opened().ws_connect(
                self.url + path, heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_EVENT_BYTES
            ) as socket:
                yield socket
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def health(self) -> Health:
        """How whoever answers says that it is; nothing is sent but the question.

        Raises:
            ProtocolMismatch: it is no bridge.
        """
        async with self._health() as response:
            return parsed(Health, await response.read())

    async def _prove(self) -> None:
        """Make sure that the bridge of our token answers, before the token or a photo is sent.

        Each time anew: the bridge may have died, and a program of another user have taken its port.

        Raises:
            Unauthorized: a bridge answers that does not know the token.
            BridgeUnreachable: another program answers.
        """
        secret, nonce = secret_of(self.token), secrets.token_urlsafe(16)
        expected = proof(secret, urlsplit(self.url).port or 80, nonce)
        stranger = BridgeUnreachable(f"A program that is not your bridge answers at {self.url}.")
        async with self._health(secret=name_of(secret), nonce=nonce) as response:
            try:
                parsed(Health, await response.read())
            except ProtocolMismatch as error:
                raise stranger from error
            shown = response.headers.get(HEADER)
        if shown is None:
            raise Unauthorized(f"The bridge at {self.url} does not know this token (any more).")
        if not hmac.compare_digest(shown.encode(), expected.encode()):
            raise stranger

    @asynccontextmanager
    async def _health(self, **question: str) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._opened().get(
                f"{self.url}/v1/health",
                params=question,
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS),
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise _error_from(await response.read(), response.status)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _authorized(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **(headers or {})}

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
