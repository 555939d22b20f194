"""Pairing by a short code: a token for who can read the bridge's screen; serves /v1/pair."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable

from aiohttp import web

from bridge.errors import Busy, InvalidRequest, OutputError, PairingFailed
from bridge.protocol.service import PairCode, PairRequest, PairResult
from bridge.server.clients import CLIENTS
from bridge.server.route import Access, Route, answer

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 signs; none that are taken for another (0 and O, 1 and I)."""
CODE_LENGTH = 8
"""40 bits: five tries in five minutes hit with a chance of 1 in 2 * 10^11."""
CODE_SECONDS = 300.0
TRIES = 5
TRIES_A_MINUTE = 10
"""Over all codes, so that a program that watches for new ones gains nothing."""


class Pairing:
    """At most one valid code at a time.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._code = ""
        self._until = 0.0
        self._tries_left = 0
        self._recent: deque[float] = deque(maxlen=TRIES_A_MINUTE)

    def new_code(self) -> PairCode:
        """A fresh code; the one before is void."""
        self._code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        self._until = self._clock() + CODE_SECONDS
        self._tries_left = TRIES
        return PairCode(code=f"{self._code[:4]}-{self._code[4:]}", seconds=CODE_SECONDS)

    def redeem(self, code: str) -> None:
        """Use a code up.

        Raises:
            PairingFailed: wrong, used, expired or tried too often; it does not say which.
            Busy: too many tries in the last minute.
        """
        now = self._clock()
        if len(self._recent) == TRIES_A_MINUTE and now - self._recent[0] < 60.0:
            raise Busy(
                "Too many pairing codes were tried.", hint="Wait a minute, then try again.", retry_after=60
            )
        self._recent.append(now)
        given = code.upper().replace("-", "").replace(" ", "")
        valid = self._tries_left > 0 and now < self._until
        self._tries_left -= 1
        if not (hmac.compare_digest(given.encode(), self._code.encode()) and valid):
            raise PairingFailed("The code does not match.")
        self._tries_left = 0


PAIRING = web.AppKey("pairing", Pairing)


async def pair(request: web.Request) -> web.StreamResponse:
    """Exchange a pairing code for a token of one's own."""
    asked = PairRequest.parse_json(await request.read())
    request.app[PAIRING].redeem(asked.code)
    return answer(await asyncio.to_thread(request.app[CLIENTS].add, asked.client, asked.name), 201)


async def new_pair_code(request: web.Request) -> web.StreamResponse:
    """A new pairing code for the owner to show; the one before is void."""
    return answer(request.app[PAIRING].new_code(), 201)


ROUTES = (
    Route(
        "POST",
        "/v1/pair",
        pair,
        access=Access.open,
        takes=PairRequest,
        gives=PairResult,
        status=201,
        errors=(PairingFailed, Busy, InvalidRequest, OutputError),
    ),
    Route("POST", "/v1/pair/code", new_pair_code, access=Access.owner, gives=PairCode, status=201),
)
