"""The bridge that a verb speaks to: the one that runs, or one in this process for as long as it takes.

So there is one road for both: the protocol, the store, and what they promise.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from bridge.cli.report import notices
from bridge.client import Client
from bridge.config import Places, Settings, load
from bridge.errors import (
    AlreadyRunning,
    BridgeError,
    BridgeUnreachable,
    NotReady,
    Unauthorized,
    codes,
)
from bridge.server.announcement import Announcement
from bridge.server.app import open_parts
from bridge.server.parts import Parts
from bridge.server.serve import UNFINDABLE_SECONDS, hosted, running

T = TypeVar("T")

LOOK_SECONDS = 0.05
LOSSES = 7
"""Times that a bridge may be lost, or fail for a reason that heals, with nothing done in between."""
LOSS_PAUSE = 0.5
"""Seconds after the first of them; doubled with each, half a minute in all."""
LOST = (BridgeUnreachable, Unauthorized, AlreadyRunning)
"""The bridge that was spoken to is gone: a new one has a new token, and starts."""
DRAIN_SECONDS = 0.0
"""A verb that ends early was stopped by its user: what is worked on goes back into the queue."""


@asynccontextmanager
async def bridge_for(places: Places, settings: Settings) -> AsyncIterator[Client]:
    """A bridge that enhances, ready to.

    Raises:
        BridgeError: there is none that can; the code says why.
    """
    if await _found(places):
        async with Client.from_announcement(places) as client:
            await _ready(client)
            yield client
        return
    async with (
        hosted(settings, places, open_parts, drain_seconds=DRAIN_SECONDS),
        Client.from_announcement(places) as client,
    ):
        await _ready(client)
        yield client


@asynccontextmanager
async def queue_for(places: Places, settings: Settings) -> AsyncIterator[Client]:
    """A bridge to look after batches with; if none runs, one that works on nothing, found by nobody else.

    Raises:
        AlreadyRunning: another command holds the data folder for long.
    """
    if await _found(places):
        async with Client.from_announcement(places) as client:
            yield client
        return
    async with (
        hosted(settings, places, _no_parts, drain_seconds=DRAIN_SECONDS, findable=False) as here,
        Client(here.url, here.token) as client,
    ):
        yield client


async def asked(question: Callable[[Client], Awaitable[T]]) -> T:
    """The answer of a bridge to look after batches with."""
    places = Places.current()
    async with queue_for(places, load(places)) as client:
        return await question(client)


async def lasting(work: Callable[[Client], Awaitable[None]], done: Callable[[], int]) -> None:
    """Run `work` on a bridge, and again when that is lost or in trouble: the store knows what is done.

    Args:
        done: how much was done so far.

    Raises:
        BridgeError: what `work` raises, or what keeps a bridge from working; if it can heal, only
            after `LOSSES` times with nothing done in between.
    """
    places, losses, before = Places.current(), 0, done()
    while True:
        try:
            async with bridge_for(places, load(places)) as client:
                await work(client)
                return
        except BridgeError as error:
            losses, before = 1 if done() > before else losses + 1, done()
            if losses >= LOSSES or not (error.retryable or isinstance(error, LOST)):
                raise
            await asyncio.sleep(LOSS_PAUSE * 2 ** (losses - 1))


async def _found(places: Places) -> Announcement | None:
    """The bridge that runs; whoever holds the data folder without being one is waited for.

    Raises:
        AlreadyRunning: that took too long.
    """
    deadline, told = time.monotonic() + UNFINDABLE_SECONDS, False
    while True:
        try:
            return running(places)
        except AlreadyRunning:
            if time.monotonic() > deadline:
                raise
        if not told:
            notices.print(f"Waiting for another command to leave {places.data}.", style="dim", markup=False)
            told = True
        await asyncio.sleep(LOOK_SECONDS)


async def _ready(client: Client) -> None:
    while True:
        told = await client.ready()
        if told.ready:
            return
        reason = told.reasons[0]
        if reason.code != NotReady.code:
            raise codes().get(reason.code, BridgeError)(reason.detail)
        await asyncio.sleep(LOOK_SECONDS)


def _no_parts(_settings: Settings, _places: Places) -> Parts:
    raise BridgeUnreachable("No bridge is running; batches go on when one does.")
