"""Pairing by a short code: a token for who can read the bridge's screen; serves /v1/pair."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from bridge.errors import Busy, InvalidRequest, OutputError, PairingFailed
from bridge.protocol.service import PairCode, PairRequest, PairResult
from bridge.server.clients import CLIENTS, Standing
from bridge.server.parameters import Choice
from bridge.server.route import Access, Route, answer

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 signs; none that are taken for another (0 and O, 1 and I)."""
CODE_LENGTH = 8
"""40 bits: five tries in five minutes hit with a chance of 1 in 2 * 10^11."""
CODE_SECONDS = 300.0
TRIES = 5
TRIES_A_MINUTE = 10
"""Over all codes, so that a program that watches for new ones gains nothing."""


@dataclass
class _Code:
    text: str = ""
    until: float = 0.0
    tries_left: int = 0

    def opens_with(self, given: str, now: float) -> bool:
        """One try, which is used up."""
        valid = self.tries_left > 0 and now < self.until
        self.tries_left -= 1
        return hmac.compare_digest(given.encode(), self.text.encode()) and valid


class Pairing:
    """At most one valid code for plug-ins at a time, and one that signs the owner in to the console.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._codes: dict[Standing, _Code] = {"client": _Code(), "owner": _Code()}
        self._recent: deque[float] = deque(maxlen=TRIES_A_MINUTE)

    def new_code(self, standing: Standing = "client") -> PairCode:
        """A fresh code; the one before, of the same standing, is void."""
        text = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        self._codes[standing] = _Code(text, self._clock() + CODE_SECONDS, TRIES)
        return PairCode(code=f"{text[:4]}-{text[4:]}", seconds=CODE_SECONDS)

    def redeem(self, code: str) -> Standing:
        """Use a code up; as whom it lets in.

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
        # Both are always tried: the time it takes tells nothing.
        opened = [standing for standing, one in self._codes.items() if one.opens_with(given, now)]
        if not opened:
            raise PairingFailed("The code does not match.")
        self._codes[opened[0]].tries_left = 0
        return opened[0]


PAIRING = web.AppKey("pairing", Pairing)
FOR: Choice[Standing] = Choice(
    "for",
    "client (if absent): pairs a plug-in; owner: signs the owner in to the console.",
    words=("client", "owner"),
)


async def pair(request: web.Request) -> web.StreamResponse:
    """Exchange a pairing code for a token of one's own."""
    asked = PairRequest.parse_json(await request.read())
    standing = request.app[PAIRING].redeem(asked.code)
    return answer(await asyncio.to_thread(request.app[CLIENTS].add, asked.client, asked.name, standing), 201)


async def new_pair_code(request: web.Request) -> web.StreamResponse:
    """A new pairing code for the owner to show; the one before is void."""
    standing = FOR.read(request.query) or "client"
    return answer(request.app[PAIRING].new_code(standing), 201)


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
    Route(
        "POST",
        "/v1/pair/code",
        new_pair_code,
        access=Access.owner,
        gives=PairCode,
        status=201,
        query=(FOR,),
        errors=(InvalidRequest,),
    ),
)
