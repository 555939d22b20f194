"""Listens to what changes, and comes back after a broken connection with the last number it saw."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp

from bridge.client.connection import Connection
from bridge.errors import BridgeUnreachable, Unauthorized
from bridge.protocol.events import Subscribe
from bridge.protocol.message import message

UNAUTHORIZED = 4401
TRIES = 4
FIRST_PAUSE = 0.2
"""Seconds before the second try; each pause is twice the one before: 3 seconds in all."""


async def follow(connection: Connection, since: int | None) -> AsyncGenerator[dict[str, Any]]:
    """The bridge's events from behind `since` on, as plain JSON values.

    Raises:
        Unauthorized: the token does not open (any more).
        BridgeUnreachable: the connection broke, and could not be made again.
    """
    failures, greeted = 0, False
    while True:
        try:
            async with aclosing(_listen(connection, since)) as heard:
                async for event in heard:
                    failures = 0
                    if event["type"] != "hello":
                        since = event["seq"]
                        yield event
                        continue
                    if since is None or not event["complete"]:
                        since = event["seq"]
                    if not greeted or not event["complete"]:
                        greeted = True
                        yield event
            reason = "It closes the connection whenever it is made."
        except BridgeUnreachable as error:
            reason = error.detail
        failures += 1
        if failures > TRIES:
            raise BridgeUnreachable(f"The bridge is gone. {reason}")
        await asyncio.sleep(FIRST_PAUSE * 2 ** (failures - 1))


async def _listen(connection: Connection, since: int | None) -> AsyncGenerator[dict[str, Any]]:
    """The events of one socket, until it closes."""
    async with connection.socket("/v1/events") as socket:
        await socket.send_json(message(Subscribe(token=connection.token, since=since)))
        async for received in socket:
            if received.type is aiohttp.WSMsgType.TEXT:
                yield json.loads(received.data)
        if socket.close_code == UNAUTHORIZED:
            raise Unauthorized("The bridge does not know this token (any more).")
