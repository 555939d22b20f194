"""Another user's program at the bridge's address gets neither a token nor a photo (decision 0010)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.server.announcement import announce
from tests.impostor import impostor
from tests.plugins.lightroom.conftest import RunningBridge, Start
from tests.plugins.lightroom.host import Host
from tests.plugins.lightroom.world import World

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "proofs.json").read_text())
TOKEN = "token-1"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["url"])
def test_the_vectors(world: World, vector: dict[str, str]) -> None:
    digest = Host(world).require("Digest")
    secret = digest[b"sha256"](vector["token"].encode())
    assert digest[b"sha256"](secret)[:16].decode() == vector["secret"]
    said = f"gpen-bridge:{vector['url'].rpartition(':')[2]}:{vector['nonce']}"
    assert digest[b"hmac"](secret, said.encode()).decode() == vector["proof"]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("mute", "The GPEN bridge is not installed"),
        ("guesses", "Another program answers"),
        ("relays", "Another program answers"),
    ],
)
def test_it_gets_nothing(world: World, host: Host, bridge: RunningBridge, how: str, words: str) -> None:
    world.add("wedding.nef")
    with impostor(how, bridge=bridge.url) as thief:
        announce(bridge.places, bridge.announcement.model_copy(update={"url": thief.url}))
        host.menu("EnhanceAgain")
        assert thief.heard
        assert thief.got_nothing, thief.heard
    assert world.results() == []
    (message,) = host.messages
    assert words in message.text


def test_our_own_bridge_is_started_in_spite_of_it(
    world: World, bridge: RunningBridge, start_bridge: Start
) -> None:
    world.prefs["connection"] = {"startCommand": "start it"}
    host = Host(world)
    world.add("wedding.nef")
    with impostor("mute") as thief:
        stale = bridge.announcement.model_copy(update={"url": thief.url, "token": "of yesterday"})
        bridge.stop()
        announce(bridge.places, stale)

        def execute(_line: str) -> int:
            start_bridge()
            return 0

        host.execute = execute
        host.menu("EnhanceAgain")
        assert thief.got_nothing
    assert [Path(result.path).name for result in world.results()] == ["wedding-GPEN.tif"]
