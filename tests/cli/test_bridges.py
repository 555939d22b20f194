"""The bridge that a verb finds, or is for as long as it takes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from filelock import FileLock

from bridge.cli import bridges
from bridge.cli.bridges import asked, bridge_for, queue_for
from bridge.client import Client
from bridge.config import Places, Settings
from bridge.errors import AlreadyRunning, BridgeUnreachable
from bridge.protocol.jobs import ItemRequest, JobRequest, Source
from bridge.server.announcement import Announcement, announce, announced
from bridge.server.serve import LOCK_SECONDS, hosted, running
from tests.cli.conftest import Type


@pytest.fixture
def places(home: Path) -> Places:
    home.mkdir()
    return Places.current()


@contextmanager
def held(places: Places, seconds: float) -> Iterator[None]:
    """The data folder of a command that is done after so long."""
    lock = FileLock(places.lock_file, thread_local=False)
    lock.acquire()
    leaving = threading.Timer(seconds, lock.release)
    leaving.start()
    yield
    leaving.join()


async def test_a_bridge_that_works_on_nothing_is_found_by_nobody(places: Places) -> None:
    left = Announcement(url="http://dead", token="b", protocol=1, version="c", exchange_dir="d", pid=1)
    announce(places, left)
    proxies = (IPv4Address("192.0.2.2"),)
    studio = Settings(host="192.0.2.1", names=("a",), trusted_proxies=proxies)  # no address of ours
    async with queue_for(places, studio) as client:
        assert (await client.jobs()).jobs == ()
        assert announced(places) is None
        with pytest.raises(AlreadyRunning):
            running(places)
    assert running(places) is None


async def test_a_bridge_that_works_on_nothing_is_not_waited_for(places: Places) -> None:
    async with hosted(Settings(), places, bridges._no_parts, drain_seconds=0.0):
        with pytest.raises(BridgeUnreachable, match="No bridge is running"):
            async with asyncio.timeout(30), bridge_for(places, Settings()):
                pass


def test_a_verb_waits_for_a_command_that_ends_soon(
    type_: Type, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(places, 2 * LOCK_SECONDS):
        said = type_("jobs", "list", "--json")
    assert (said.status, said.json["jobs"]) == (0, [])
    assert said.err.count("Waiting for another command") == 1
    monkeypatch.setattr(bridges, "UNFINDABLE_SECONDS", 0.1)
    with held(places, 2 * LOCK_SECONDS):
        said = type_("jobs", "list", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "already_running")


def test_watching_a_batch_that_nobody_works_on_says_so(type_: Type, places: Places, tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    photo.write_bytes(b"to be looked at later")

    async def leave(client: Client) -> str:
        item = ItemRequest(ref="a", source=Source(upload=(await client.upload(photo)).upload))
        return (await client.submit(JobRequest(client="cli", items=(item,)))).job

    job = asyncio.run(asked(leave))
    said = type_("jobs", "watch", job, "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "bridge_unreachable")
    assert "gpen-bridge serve" in said.json["error"]["hint"]
    assert type_("jobs", "cancel", job).status == 0
    assert type_("jobs", "watch", job).status == 0
