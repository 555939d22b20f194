"""The pieces of a body as they come and go, and the end of patience with a client that stands still.

Whoever reads or sends a body holds something meanwhile: one of the slots for pictures, a file on the
disk. A computer that fell asleep in the middle must not hold it for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from aiohttp import web

from bridge.errors import BodyStalled

STALL_SECONDS = 30.0
"""Without a byte. A computer that only changes its Wi-Fi is back sooner."""

T = TypeVar("T")


async def arrived(piece: Awaitable[T]) -> T:
    """The next piece of a body: what one read gives, however little it is.

    Raises:
        BodyStalled: nothing came for `STALL_SECONDS`.
    """
    try:
        async with asyncio.timeout(STALL_SECONDS):
            return await piece
    except TimeoutError as error:
        raise BodyStalled(f"No byte of the body came for {STALL_SECONDS:g} seconds.") from error


async def sent(request: web.Request, piece: Awaitable[None]) -> None:
    """Wait until a small piece of the answer has left.

    Raises:
        ConnectionError: the client took none of it for `STALL_SECONDS`, and the connection was ended.
    """
    try:
        async with asyncio.timeout(STALL_SECONDS):
            await piece
    except TimeoutError as error:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionAbortedError("The client no longer takes its answer.") from error
