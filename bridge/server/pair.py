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
from bridge.protocol.service import PairCode, PairRequest, PairResult, Right
from bridge.server.body import read_question
from bridge.server.clients import CLIENTS, EVERY_RIGHT, USUAL_RIGHTS, Standing
from bridge.server.parameters import Choice, Text
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
    rights: tuple[Right, ...] = USUAL_RIGHTS

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

    def new_code(self, standing: Standing = "client", rights: tuple[Right, ...] = USUAL_RIGHTS) -> PairCode:
        """A fresh code; the one before, of the same standing, is void.

        Args:
            rights: what a client that uses it may do.
        """
        text = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        self._codes[standing] = _Code(text, self._clock() + CODE_SECONDS, TRIES, rights)
        return PairCode(code=f"{text[:4]}-{text[4:]}", seconds=CODE_SECONDS)

    def redeem(self, code: str) -> tuple[Standing, tuple[Right, ...]]:
        """Use a code up; as whom it lets in, and with which rights.

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
        return opened[0], self._codes[opened[0]].rights


PAIRING = web.AppKey("pairing", Pairing)
FOR: Choice[Standing] = Choice(
    "for",
    "client (if absent): pairs a plug-in; owner: signs the owner in to the console.",
    words=("client", "owner"),
)
RIGHTS = Text(
    "rights",
    f"What the client may do: {', '.join(EVERY_RIGHT)}, with commas; {','.join(USUAL_RIGHTS)} if absent.",
    pattern=f"({'|'.join(EVERY_RIGHT)})(,({'|'.join(EVERY_RIGHT)}))*",
    form=f"a list of {', '.join(EVERY_RIGHT)}, with commas between",
)


async def pair(request: web.Request) -> web.StreamResponse:
    """Exchange a pairing code for a token of one's own."""
    asked = await read_question(request, PairRequest)
    standing, rights = request.app[PAIRING].redeem(asked.code)
    clients = request.app[CLIENTS]
    return answer(await asyncio.to_thread(clients.add, asked.client, asked.name, standing, rights), 201)


async def new_pair_code(request: web.Request) -> web.StreamResponse:
    """A new pairing code for the owner to show; the one before is void."""
    standing = FOR.read(request.query) or "client"
    asked = RIGHTS.read(request.query)
    given = USUAL_RIGHTS if asked is None else asked.split(",")
    rights = tuple(right for right in EVERY_RIGHT if right in given)
    return answer(request.app[PAIRING].new_code(standing, rights), 201)


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
        query=(FOR, RIGHTS),
        errors=(InvalidRequest,),
    ),
)
