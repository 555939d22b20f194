"""The life of a bridge, as processes: start, announcement, second start, drain, sudden death."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from bridge.client import Client
from bridge.config import Places, Settings
from bridge.errors import AlreadyRunning, BridgeUnreachable, ConfigInvalid, OutputError, PortTaken
from bridge.locks import held
from bridge.protocol.enhancement import EnhanceRequest
from bridge.server import serve as serving
from bridge.server.announcement import Announcement, announce, announced, withdraw
from bridge.server.serve import LOCK_SECONDS, UNFINDABLE_SECONDS, hosted, listen, running, serve
from tests.server.conftest import Samples
from tests.server.fakes import FakeParts

ROOT = Path(__file__).parents[2]
Begin = Callable[..., subprocess.Popen[str]]
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "bridge.json", tmp_path)


@pytest.fixture
def begin(places: Places) -> Iterator[Begin]:
    """Starts a bridge as a process, and ends what a test leaves behind."""
    with contextlib.ExitStack() as stack:

        def begin_one(port: int = 0, seconds: float = 0.0) -> subprocess.Popen[str]:
            process = subprocess.Popen(  # noqa: S603 - our own module, by its own interpreter
                [sys.executable, "-m", "tests.server.standalone", str(port), str(seconds)],
                cwd=ROOT,
                env={**os.environ, "GPEN_HOME": str(places.data)},
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield begin_one


def line_of(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@posix_only
def test_one_bridge_from_start_to_end(places: Places, begin: Begin) -> None:
    first = begin()
    url = line_of(first)["url"]
    found = announced(places)
    assert found is not None
    assert (found.url, found.pid, found.protocol) == (url, first.pid, 1)
    assert Path(found.exchange_dir).is_dir()
    assert stat.S_IMODE(places.announcement.stat().st_mode) == 0o600
    assert len(found.token) >= 43  # 32 bytes in base64
    assert running(places) == found

    second = begin()
    told = line_of(second)
    assert (told["code"], second.wait(60)) == ("already_running", 1)
    assert url in told["detail"]

    async def ask() -> str:
        async with Client.from_announcement(places) as bridge:
            return (await bridge.health()).service

    assert asyncio.run(ask()) == "gpen-bridge"
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    assert not places.announcement.exists()
    assert running(places) is None


@posix_only
def test_a_running_picture_is_finished_before_the_end(places: Places, begin: Begin, samples: Samples) -> None:
    process = begin(seconds=1.0)
    line_of(process)

    async def enhance_and_stop() -> bytes:
        async with Client.from_announcement(places) as bridge:
            while not (await bridge.ready()).ready:
                await asyncio.sleep(0.02)
            work = asyncio.create_task(bridge.enhance(samples.png, EnhanceRequest()))
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)  # "working"
            process.send_signal(signal.SIGINT)
            return (await work).data

    assert asyncio.run(enhance_and_stop()).startswith(b"\x89PNG")
    assert process.wait(60) == 0
    assert not places.announcement.exists()


@posix_only
def test_a_second_signal_ends_it_at_once_and_the_next_start_mends_it(
    places: Places, begin: Begin, samples: Samples
) -> None:
    process = begin(seconds=60.0)
    line_of(process)

    async def enhance_and_kill() -> None:
        async with Client.from_announcement(places) as bridge:
            while not (await bridge.ready()).ready:
                await asyncio.sleep(0.02)
            work = asyncio.create_task(bridge.enhance(samples.png, EnhanceRequest()))
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)  # "working"
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            with pytest.raises(BridgeUnreachable):
                await work

    began = time.monotonic()
    asyncio.run(enhance_and_kill())
    assert process.wait(60) == 1
    assert time.monotonic() - began < 30
    old = announced(places)  # left behind, as after any sudden death
    again = begin()
    assert line_of(again)["url"]
    assert announced(places) not in (None, old)


def test_the_next_ports_are_tried() -> None:
    taken = listen(0)
    port = taken[0].getsockname()[1]
    try:
        got = listen(port)
        assert got[0].getsockname()[1] in range(port + 1, port + 4)
        for one in got:
            one.close()
    finally:
        for one in taken:
            one.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="this computer has no IPv6")
def test_a_port_that_another_program_has_on_ipv6_is_left_to_it() -> None:
    """Else that one would answer for "localhost"."""
    other = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::1", 0))
    except OSError:
        other.close()
        pytest.skip("this computer has no IPv6")
    other.listen()
    port = other.getsockname()[1]
    try:
        got = listen(port)
        assert port not in {one.getsockname()[1] for one in got}
        for one in got:
            one.close()
    finally:
        other.close()


@pytest.mark.parametrize("port", [0, 20_000])
def test_ipv6_decides_whether_a_port_is_free_only_where_there_is_some(
    monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    real, asked = serving._bound, []

    def bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if family == socket.AF_INET6:
            asked.append(port)
            number = errno.EADDRINUSE if len(asked) == 1 else errno.EADDRNOTAVAIL
            raise OSError(number, os.strerror(number))
        return real(family, host, 0)

    monkeypatch.setattr(serving, "_bound", bound)
    (only,) = listen(port)
    assert only.getsockname()[1] == asked[1]
    only.close()


@posix_only
def test_a_port_that_takes_rights_is_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def bound(*_: object) -> socket.socket:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(serving, "_bound", bound)
    with pytest.raises(PortTaken, match="no right to listen on the ports 80 to 83") as failure:
        listen(80)
    assert "1024" in failure.value.hint


def test_when_no_port_is_free_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = listen(0)
    monkeypatch.setattr("bridge.server.serve.PORTS_TRIED", 1)
    try:
        with pytest.raises(PortTaken):
            listen(taken[0].getsockname()[1])
    finally:
        for one in taken:
            one.close()


def test_it_listens_on_loopback_only() -> None:
    sockets = listen(0)
    assert {one.getsockname()[0] for one in sockets} <= {"127.0.0.1", "::1"}
    if socket.has_ipv6 and len(sockets) == 2:
        assert sockets[0].getsockname()[1] == sockets[1].getsockname()[1]
    for one in sockets:
        one.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "studio.local", ""])  # noqa: S104 - refused
def test_other_addresses_are_refused(places: Places, host: str) -> None:
    with pytest.raises(ConfigInvalid):
        serve(Settings(host=host), places, FakeParts().open)


def test_bridge_json_of_another_bridge_is_left_alone(places: Places) -> None:
    mine = Announcement(url="a", token="b", protocol=1, version="c", exchange_dir="d", pid=1)
    theirs = mine.model_copy(update={"pid": 2})
    announce(places, theirs)
    withdraw(places, mine)
    assert announced(places) == theirs
    withdraw(places, theirs)
    assert announced(places) is None
    withdraw(places, theirs)


@pytest.mark.parametrize("tries", [3, 10**6])
def test_bridge_json_that_another_program_reads_holds_up_no_end(
    places: Places, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    mine = Announcement(url="a", token="b", protocol=1, version="c", exchange_dir="d", pid=1)
    announce(places, mine)
    real, tried = Path.unlink, 0

    def busy(path: Path, missing_ok: bool = False) -> None:
        nonlocal tried
        tried += 1
        if tried < tries:
            raise PermissionError(13, "The process cannot access the file")
        real(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", busy)
        patched.setattr("bridge.atomic._OPEN_FILES_STAY", True)
        patched.setattr("time.sleep", lambda _: None)
        withdraw(places, mine)
    assert announced(places) == (None if tries == 3 else mine)


def test_a_bridge_that_has_not_announced_itself_is_named(places: Places) -> None:
    with held(places.lock_file), pytest.raises(AlreadyRunning, match="not written"):
        running(places)


def test_what_a_dead_bridge_announced_is_gone_once_another_begins(places: Places) -> None:
    announce(places, Announcement(url="x", token="b", protocol=1, version="c", exchange_dir="d", pid=1))

    async def begin() -> None:
        async with hosted(Settings(), places, FakeParts().open, drain_seconds=0):
            assert seen == [None]

    seen: list[Announcement | None] = []
    real = serving.listen

    def looked(port: int) -> list[socket.socket]:
        seen.append(announced(places))
        return real(port)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(serving, "listen", looked)
        asyncio.run(begin())


@pytest.mark.parametrize("stale", [False, True])
def test_who_looks_at_the_same_time_is_no_bridge(places: Places, stale: bool) -> None:
    if stale:
        gone = listen(0)
        url = f"http://127.0.0.1:{gone[0].getsockname()[1]}"
        for one in gone:
            one.close()
        announce(places, Announcement(url=url, token="b", protocol=1, version="c", exchange_dir="d", pid=1))
    looking = threading.Barrier(2)

    def look() -> None:
        with held(places.lock_file):  # as long as a slow disk makes it
            looking.wait()
            time.sleep(0.2)

    other = threading.Thread(target=look)
    other.start()
    looking.wait()
    assert running(places) is None
    other.join()


async def _host(places: Places) -> None:
    async with hosted(Settings(), places, FakeParts().open, drain_seconds=0):
        pass


@pytest.mark.parametrize(
    "use",
    [
        running,
        lambda places: serve(Settings(), places, FakeParts().open),
        lambda places: asyncio.run(_host(places)),
    ],
    ids=["running", "serve", "hosted"],
)
def test_a_lock_that_cannot_be_used_is_named(places: Places, use: Callable[[Places], object]) -> None:
    places.lock_file.mkdir()
    with pytest.raises(OutputError, match=r"bridge\.lock cannot be locked") as failure:
        use(places)
    assert "sudo" in failure.value.hint


def test_a_bridge_waits_for_a_command_that_ends_soon(places: Places) -> None:
    command = FileLock(places.lock_file, thread_local=False)
    command.acquire()
    leaving = threading.Timer(2 * LOCK_SECONDS, command.release)
    leaving.start()
    assert asyncio.run(_url_of_a_hosted(places)).startswith("http://127.0.0.1:")
    leaving.join()


def test_a_bridge_does_not_wait_for_another_one(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Announcement(url="http://there", token="b", protocol=1, version="c", exchange_dir="d", pid=1)
    announce(places, found)
    with FileLock(places.lock_file):
        began = time.monotonic()
        with pytest.raises(AlreadyRunning, match="http://there"):
            asyncio.run(_url_of_a_hosted(places))
        assert time.monotonic() - began < UNFINDABLE_SECONDS / 2
        withdraw(places, found)
        monkeypatch.setattr("bridge.server.serve.UNFINDABLE_SECONDS", LOCK_SECONDS)
        with pytest.raises(AlreadyRunning, match="Another command"):
            asyncio.run(_url_of_a_hosted(places))


async def _url_of_a_hosted(places: Places) -> str:
    async with hosted(Settings(), places, FakeParts().open, drain_seconds=0.0) as here:
        assert announced(places) == here
        return here.url


@pytest.mark.parametrize("content", ["", "{", "[]", '{"url": "x"}'])
def test_a_damaged_bridge_json_is_none(places: Places, content: str) -> None:
    places.announcement.write_text(content)
    assert announced(places) is None
