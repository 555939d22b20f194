"""What changes, as it changes, over a WebSocket; serves /v1/events.

The store is the queue: a socket that reads slowly holds no memory here, only its place. One that
does not read at all is closed, and comes back with the last number that it saw.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextlib import suppress

import aiohttp
from aiohttp import web

from bridge.errors import InvalidRequest, StoreUnavailable, Unauthorized
from bridge.jobs.journal import Journal
from bridge.protocol.events import Event, Hello, Subscribe
from bridge.server.clients import CLIENTS
from bridge.server.lan import LAN
from bridge.server.route import METRICS, Access, Route

GREETING_SECONDS = 5.0
SLOW_SECONDS = 10.0
HEARTBEAT_SECONDS = 25.0
MAX_MESSAGE_BYTES = 4096
PAGE = 200
UNAUTHORIZED, TOO_SLOW = 4401, 4408
LOOK_SECONDS = 5.0
"""How often a socket looks for events that nobody told it about."""


class Feed:
    """Wakes the sockets when something was stored."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._sockets: set[web.WebSocketResponse] = set()

    def start(self) -> None:
        """Begin to listen, in the loop that runs."""
        self._loop = asyncio.get_running_loop()

    def stored(self) -> None:
        """Something was stored; called from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                self._loop.call_soon_threadsafe(self._wake)

    def add(self, socket: web.WebSocketResponse) -> None:
        """A socket that is to be closed with the bridge."""
        self._sockets.add(socket)

    def remove(self, socket: web.WebSocketResponse) -> None:
        """A socket that closed."""
        self._sockets.discard(socket)

    async def changed(self) -> None:
        """Wait until something was stored since, or some seconds have gone."""
        waiting = self._changed
        with suppress(TimeoutError):
            await asyncio.wait_for(waiting.wait(), LOOK_SECONDS)

    async def close(self) -> None:
        """Say goodbye to everybody."""
        for socket in list(self._sockets):
            await socket.close(code=aiohttp.WSCloseCode.GOING_AWAY, message=b"The bridge stops.")

    def _wake(self) -> None:
        # A new one each time: whoever waits has the old one.
        self._changed.set()
        self._changed = asyncio.Event()


FEED = web.AppKey("feed", Feed)


async def events(request: web.Request) -> web.StreamResponse:
    """What changes, as numbered events over a WebSocket."""
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_MESSAGE_BYTES)
    if not socket.can_prepare(request):
        raise InvalidRequest("This address takes WebSockets only.")
    await socket.prepare(request)
    feed = request.app[FEED]
    feed.add(socket)
    try:
        asked = await _greeted(request, socket)
        if asked is None:
            await socket.close(code=UNAUTHORIZED, message=b"Send the token first.")
            return socket
        with request.app[METRICS].listeners.track_inprogress():
            reader = asyncio.create_task(_until_closed(socket))
            known = functools.partial(_is_known, request, asked)
            sender = asyncio.create_task(_send(feed, socket, asked.since, known))
            try:
                await asyncio.wait({reader, sender}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (reader, sender):
                    task.cancel()
                results = await asyncio.gather(reader, sender, return_exceptions=True)
        if any(isinstance(result, Unauthorized) for result in results):
            await socket.close(code=UNAUTHORIZED, message=b"The token was revoked.")
        if any(isinstance(result, TimeoutError) for result in results):
            await socket.close(code=TOO_SLOW, message=b"Too slow; come back with since.", drain=False)
    finally:
        feed.remove(socket)
    return socket


async def _greeted(request: web.Request, socket: web.WebSocketResponse) -> Subscribe | None:
    """The first message, if it came in time and brought a token that opens."""
    try:
        text = await socket.receive_str(timeout=GREETING_SECONDS)
        asked = Subscribe.parse_json(text.encode("utf-8", "surrogateescape"))
    except (TimeoutError, TypeError, InvalidRequest):
        return None
    return asked if _is_known(request, asked) else None


def _is_known(request: web.Request, asked: Subscribe) -> bool:
    caller = request.app[CLIENTS].caller(asked.token)
    return caller is not None and not (caller.is_local and request.app[LAN].took(request))


async def _until_closed(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass  # whatever else a client says means nothing


async def _send(
    feed: Feed, socket: web.WebSocketResponse, since: int | None, known: Callable[[], bool]
) -> None:
    """Tell events for as long as the listener is `known`.

    Raises:
        Unauthorized: it was revoked meanwhile.
        TimeoutError: it does not read.
    """
    newest = await asyncio.to_thread(feed.journal.newest)
    complete = since is None or await asyncio.to_thread(feed.journal.is_complete_since, since)
    seen = since if since is not None and complete else newest
    await _put(socket, Hello(seq=newest, complete=complete).model_dump_json())
    while True:
        changed = asyncio.ensure_future(feed.changed())  # before the look, so that nothing falls between
        try:
            page = await asyncio.to_thread(feed.journal.since, seen, PAGE)
            if not known():
                raise Unauthorized
            for seq, text in page:
                await _put(socket, text)
                seen = seq
            if len(page) < PAGE:
                await changed
        except StoreUnavailable:
            await changed
        finally:
            changed.cancel()


async def _put(socket: web.WebSocketResponse, text: str) -> None:
    async with asyncio.timeout(SLOW_SECONDS):
        await socket.send_str(text)


ROUTES = (
    Route(
        "GET",
        "/v1/events",
        events,
        access=Access.handshake,
        gives=Event,
        errors=(InvalidRequest,),
    ),
)
