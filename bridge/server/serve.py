"""The life of one bridge: lock, sockets, bridge.json, signals, drain, goodbye."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import web
from filelock import Timeout

from bridge import __version__
from bridge.atomic import private_folder
from bridge.config import PORTS_TRIED, Places, Settings
from bridge.errors import AlreadyRunning, ConfigInvalid, PortTaken
from bridge.locks import held
from bridge.protocol import PROTOCOL
from bridge.server import app as application
from bridge.server.announcement import Announcement, announce, announced, clear, console_link, withdraw
from bridge.server.app import OpenParts
from bridge.server.clients import TOKEN_BYTES
from bridge.server.lan import LAN, LOOPBACK, lan_of, tls
from bridge.server.pair import PAIRING

LOCK_SECONDS = 0.5
"""Patience with a program that only looks whether a bridge runs."""
UNFINDABLE_SECONDS = 10.0
"""Patience with whoever holds the data folder unannounced: a short command, a bridge that starts or stops."""


@dataclass(frozen=True)
class Started:
    """What whoever started the bridge wants to know once it listens.

    Attributes:
        console: address that signs the owner in to the console, once, within five minutes. The code
            is in the fragment, which browsers never send.
    """

    url: str
    pairing_code: str
    console: str
    announcement: Announcement


class Companion(Protocol):
    """What lives beside a bridge: the head of a studio's cluster is one."""

    def start(self) -> None:
        """Begin; returns at once."""

    def close(self) -> None:
        """End; also after a start that never was."""


def serve(
    settings: Settings,
    places: Places,
    open_parts: OpenParts,
    on_started: Callable[[Started], None] = lambda _: None,
    beside: Companion | None = None,
) -> None:
    """Run a bridge until it is told to stop by SIGINT, SIGTERM or SIGBREAK.

    Args:
        beside: lives as long as the bridge does; started only once the data folder is ours.

    Raises:
        AlreadyRunning: a bridge holds the data folder; the detail names its address.
        OutputError: the data folder or its lock cannot be used.
        PortTaken: no port is free.
        ConfigInvalid: other computers could reach the bridge unprotected.
    """
    lan_of(settings)  # before anything is locked or bound
    tls(settings.tls_certificate, settings.tls_key)
    with _locked(places):
        sockets = listen(settings.port)
        try:
            if beside is not None:
                beside.start()
            asyncio.run(_run(settings, places, open_parts, sockets, on_started))
        finally:
            for listening in sockets:
                listening.close()
            if beside is not None:
                beside.close()


def running(places: Places) -> Announcement | None:
    """The bridge that holds the data folder; None when none does.

    Raises:
        AlreadyRunning: one holds it, but has not announced itself (yet).
        OutputError: the data folder or its lock cannot be used.
    """
    private_folder(places.data)
    found = announced(places)
    # Others who only look hold the lock for a moment too, and are no bridge: they are waited for.
    patience = 0 if found and _takes_connections(found) else LOCK_SECONDS
    try:
        with held(places.lock_file, seconds=patience):
            return None
    except Timeout:
        found = announced(places)
        if found is None:
            raise AlreadyRunning(
                f"A bridge holds {places.data} but has not written {places.announcement}.",
                hint="Wait a moment and try again.",
            ) from None
        return found


def _takes_connections(found: Announcement) -> bool:
    """Whether anybody listens where a bridge said that it does."""
    address = urlsplit(found.url)
    try:
        socket.create_connection((address.hostname or "", address.port or 0), LOCK_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


@contextmanager
def _locked(places: Places) -> Iterator[None]:
    """The data folder is ours for as long as the block.

    Raises:
        AlreadyRunning: a bridge holds it.
        OutputError: it or its lock cannot be used.
    """
    private_folder(places.data)
    deadline = time.monotonic() + UNFINDABLE_SECONDS
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(held(places.lock_file, seconds=LOCK_SECONDS))
                break
            except Timeout:
                found = announced(places)
                if found is not None:
                    raise AlreadyRunning(f"A bridge already runs at {found.url}.") from None
                if time.monotonic() > deadline:
                    raise AlreadyRunning(f"Another command holds {places.data}.") from None
        clear(places)
        yield


async def _run(
    settings: Settings,
    places: Places,
    open_parts: OpenParts,
    sockets: list[socket.socket],
    on_started: Callable[[Started], None],
) -> None:
    stop = asyncio.Event()
    with _signals(stop):
        async with _listening(settings, places, open_parts, sockets) as (app, announcement):
            pairing = app[PAIRING]
            sign_in = console_link(announcement.url, pairing.new_code("owner").code)
            on_started(Started(announcement.url, pairing.new_code().code, sign_in, announcement))
            await stop.wait()


@asynccontextmanager
async def hosted(
    settings: Settings, places: Places, open_parts: OpenParts, *, drain_seconds: float, findable: bool = True
) -> AsyncIterator[Announcement]:
    """A bridge in this process for as long as the block, on any free port.

    Args:
        drain_seconds: how long running pictures may take to finish at the end.
        findable: announced like every other, and open to the studio if so set; else only the block knows it.

    Raises:
        AlreadyRunning: a bridge holds the data folder.
        OutputError: the data folder or its lock cannot be used.
    """
    with _locked(places):
        sockets = listen(0)
        try:
            async with _listening(
                settings, places, open_parts, sockets, drain_seconds, findable=findable
            ) as (_, announcement):
                yield announcement
        finally:
            for listening in sockets:
                listening.close()


@asynccontextmanager
async def _listening(
    settings: Settings,
    places: Places,
    open_parts: OpenParts,
    sockets: list[socket.socket],
    drain_seconds: float = application.DRAIN_SECONDS,
    *,
    findable: bool = True,
) -> AsyncIterator[tuple[web.Application, Announcement]]:
    port = sockets[0].getsockname()[1]
    if findable and settings.host not in LOOPBACK and settings.lan_port == port:  # before anything is begun
        raise ConfigInvalid(
            f"Setting `lan_port`: the bridge takes port {port} for this computer itself already.",
            hint="Set another `lan_port`, or another `port`.",
        )
    token = secrets.token_urlsafe(TOKEN_BYTES)
    app = application.build(settings, places, owner_token=token, open_parts=open_parts)
    app[application.DRAIN] = drain_seconds
    # A disconnect must stop the work, so aiohttp has to cancel the handler; its default is not to.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=5.0)
    await runner.setup()
    try:
        for listening in sockets:
            await web.SockSite(runner, listening).start()
        if findable and settings.host not in LOOPBACK:
            await _open_lan(runner, app, settings, own_port=port)
        announcement = Announcement(
            url=f"http://127.0.0.1:{port}",
            token=token,
            protocol=PROTOCOL,
            version=__version__,
            exchange_dir=str(places.exchange),
            pid=os.getpid(),
        )
        if findable:
            announce(places, announcement)
        try:
            yield app, announcement
        finally:
            withdraw(places, announcement)
    finally:
        await runner.cleanup()


async def _open_lan(
    runner: web.AppRunner, app: web.Application, settings: Settings, *, own_port: int
) -> None:
    """Listen at the address that other computers reach.

    Args:
        own_port: of the loopback door. The port alone tells the doors apart, so it is no other's.

    Raises:
        PortTaken: the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listening = _bound(family, settings.host, settings.lan_port)
    except OSError as error:
        raise PortTaken(
            f"{settings.host} port {settings.lan_port} cannot be listened on: {error}.",
            hint="Is it an address of this computer, and is the port free? See `host` and `lan_port`.",
        ) from error
    if listening.getsockname()[1] == own_port:  # any free one was asked for; the address is another
        listening.close()
        raise PortTaken(f"The system gave port {own_port} twice.", hint="Start the bridge again.")
    context = None if settings.trusted_proxies else tls(settings.tls_certificate, settings.tls_key)
    app[LAN].port = listening.getsockname()[1]
    await web.SockSite(runner, listening, ssl_context=context).start()


@contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    """The first signal asks to stop, the second one ends the process at once."""
    loop = asyncio.get_running_loop()
    names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]

    def on_signal(_number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(1)  # recovery at the next start does the rest
        loop.call_soon_threadsafe(stop.set)

    # signal.signal, not the loop's own: that one does not exist on Windows.
    before = {name: signal.signal(getattr(signal, name), on_signal) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def listen(port: int) -> list[socket.socket]:
    """IPv4 loopback sockets, and IPv6 on the same port where the system has it.

    Raises:
        PortTaken: neither the port nor the next ones are free, or ours to take.
    """
    candidates = [0] * PORTS_TRIED if port == 0 else range(port, min(port + PORTS_TRIED, 65536))
    denied = True
    for candidate in candidates:
        try:
            return _loopback(candidate)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            # Windows says the same of a port that another program has for itself.
            denied = denied and error.errno == errno.EACCES and os.name != "nt"
    if denied:
        raise PortTaken(
            f"You have no right to listen on the ports {port} to {candidates[-1]}.",
            hint=f"Set a port from {FREE_FOR_ALL} on.",
        )
    raise PortTaken(f"The ports {port} to {candidates[-1]} are taken.")


_NOT_OURS = (errno.EADDRINUSE, errno.EACCES)
"""The port is another program's, or the system's."""
FREE_FOR_ALL = 1024
"""The first port that takes no rights."""


def _loopback(port: int) -> list[socket.socket]:
    first = _bound(socket.AF_INET, "127.0.0.1", port)
    try:
        return [first, _bound(socket.AF_INET6, "::1", first.getsockname()[1])]
    except OSError as error:
        if error.errno in _NOT_OURS:  # whoever has it there would answer for "localhost"
            first.close()
            raise
        return [first]  # having no IPv6 is common


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            # There SO_REUSEADDR would let two programs share the port; this forbids it to others too.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind((host, port))
        listening.listen(128)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening
