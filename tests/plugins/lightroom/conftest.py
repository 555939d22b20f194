"""A world with a bridge in it: real protocol over a real socket, with a fake engine behind it."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge import certificates
from bridge.config import Places, Settings
from bridge.protocol import PROTOCOL
from bridge.server import app as application
from bridge.server import lan, serve
from bridge.server.announcement import Announcement, announce, withdraw
from bridge.server.pair import PAIRING
from bridge.server.parts import READINESS
from tests.plugins.lightroom.host import Host
from tests.plugins.lightroom.world import World
from tests.server.fakes import FakeParts


class RunningBridge:
    """A bridge on a thread of its own; started again, it has another port and another token."""

    def __init__(self, places: Places, fakes: FakeParts, **settings: Any) -> None:
        self.places = places
        self.fakes = fakes
        self._settings = settings
        self._starts = 0
        self._begin()

    def _begin(self) -> None:
        self._starts += 1
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(20)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._stop = asyncio.Event()
        self._loop.run_until_complete(self._run(started))
        self._loop.close()

    async def _run(self, started: threading.Event) -> None:
        token = f"token-{self._starts}"
        settings = Settings(**self._settings)
        self.app = application.build(settings, self.places, owner_token=token, open_parts=self.fakes.open)
        runner = web.AppRunner(self.app, handler_cancellation=True, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await self.app[READINESS].settled()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        if settings.names:
            await serve._open_lan(runner, self.app, settings, own_port=runner.addresses[0][1])
            self.lan_url = f"https://127.0.0.1:{self.app[lan.LAN].port}"
        self.announcement = Announcement(
            url=self.url,
            token=token,
            protocol=PROTOCOL,
            version="test",
            exchange_dir=str(self.places.exchange),
            pid=1,
        )
        announce(self.places, self.announcement)
        started.set()
        await self._stop.wait()
        withdraw(self.places, self.announcement)
        await runner.cleanup()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.fakes.engine.gate.set()
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(20)

    def restart(self) -> None:
        self.stop()
        self._begin()

    def states(self) -> list[str]:
        """How the photos stand that it was given: their states, or that they need not be kept."""

        connection = HTTPConnection(self.url.removeprefix("http://"), timeout=10)

        def get(path: str) -> Any:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self.announcement.token}"})
            return json.load(connection.getresponse())

        items = [
            item for job in get("/v1/jobs")["jobs"] for item in get(f"/v1/jobs/{job['job']}/items")["items"]
        ]
        connection.close()
        return ["acknowledged" if item.get("acked_at") else item["state"] for item in items]

    def pairing_code(self) -> str:
        """A new code, as the owner reads it."""
        done: list[str] = []
        ready = threading.Event()

        def make() -> None:
            done.append(self.app[PAIRING].new_code().code)
            ready.set()

        self._loop.call_soon_threadsafe(make)
        assert ready.wait(5)
        return done[0]


@pytest.fixture(scope="session", autouse=True)
def _do_not_look_through_the_imports() -> Iterator[None]:
    """Modules live for ever: looking through all of torch twice a test would take longer than the tests."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _collect_on_this_thread_only() -> Iterator[None]:
    """Lua runs without Python's lock: a collector on the bridge's thread must not free its objects."""
    gc.collect()
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


Start = Callable[..., RunningBridge]


@pytest.fixture
def start_bridge(world: World) -> Iterator[Start]:
    """Starts bridges in the world's home folder."""
    running: list[RunningBridge] = []

    def start(**settings: Any) -> RunningBridge:
        places = Places(world.bridge_home / "bridge.json", world.bridge_home)
        bridge = RunningBridge(places, FakeParts(), **settings)
        running.append(bridge)
        return bridge

    yield start
    for bridge in running:
        bridge.stop()


@pytest.fixture
def studio_bridge(
    world: World, start_bridge: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunningBridge:
    """A bridge behind TLS on another computer, which this one plays; the studio's authority is trusted."""
    pytest.importorskip("cryptography", reason="the extra studio brings it")
    monkeypatch.setattr(lan, "LOOPBACK", ("localhost",))
    made = certificates.make(tmp_path / "tls", ["127.0.0.1"])
    own = {"tls_certificate": made.server, "tls_key": made.server_key}
    bridge = start_bridge(host="127.0.0.1", lan_port=0, names=("127.0.0.1",), **own)
    world.bridge_home.joinpath("bridge.json").unlink()  # it is the other computer's
    world.authority = made.authority
    return bridge


@pytest.fixture
def start_windows(tmp_path: Path) -> Iterator[tuple[World, RunningBridge]]:
    """A Windows world whose user has a name beyond the code page, and its bridge."""
    world = World(tmp_path, windows=True, home="Users/Łukasz")
    bridge = RunningBridge(Places(world.bridge_home / "bridge.json", world.bridge_home), FakeParts())
    yield world, bridge
    bridge.stop()


@pytest.fixture
def bridge(start_bridge: Start) -> RunningBridge:
    return start_bridge()


@pytest.fixture
def host(world: World) -> Iterator[Host]:
    """The program, which must have come to its end without errors of its own."""
    running = Host(world)
    yield running
    assert not running.failures, "\n".join(running.failures)
    if not running.kernel[b"dead"]:
        running.quit()
