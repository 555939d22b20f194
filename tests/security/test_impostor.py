"""Another user's program on a dead bridge's port: it gets neither token nor photo (decision 0010)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.client import Client
from bridge.errors import BridgeUnreachable, Unauthorized
from bridge.protocol.proof import HEADER, name_of, proof, secret_of
from bridge.server.announcement import Announcement, announce
from bridge.server.clients import CLIENTS
from tests.impostor import impostor
from tests.security.conftest import paired, revoked
from tests.server.conftest import OWNER, Bridge, Samples

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "proofs.json").read_text())
NONCE = "0123456789abcdef"


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["url"])
def test_the_vectors(vector: dict[str, str]) -> None:
    secret = secret_of(vector["token"])
    assert name_of(secret) == vector["secret"]
    assert proof(secret, int(vector["url"].rpartition(":")[2]), vector["nonce"]) == vector["proof"]


@pytest.mark.parametrize("how", ["mute", "guesses", "replays", "relays"])
async def test_it_gets_nothing_from_our_client(
    bridge: Bridge, samples: Samples, tmp_path: Path, how: str
) -> None:
    photo = tmp_path / "wedding.png"
    photo.write_bytes(samples.png)
    with impostor(how, bridge=bridge.url) as thief:
        announce(
            bridge.places,
            Announcement(url=thief.url, token=OWNER, protocol=1, version="0", exchange_dir="x", pid=1),
        )
        async with Client.from_announcement(bridge.places) as client:
            for attempt in (
                lambda: client.ready(),
                lambda: client.upload(photo),
                lambda: client.faces(samples.png),
                lambda: anext(client.events()),
                lambda: client.console_link(),
            ):
                with pytest.raises((BridgeUnreachable, Unauthorized)):
                    await attempt()
        assert thief.heard
        assert thief.got_nothing, thief.heard


async def test_the_bridge_proves_itself_to_each_of_its_callers(bridge: Bridge) -> None:
    for token in (OWNER, (await paired(bridge))["token"]):
        secret = secret_of(token)
        told = await bridge("GET", f"/v1/health?secret={name_of(secret)}&nonce={NONCE}", token=None)
        assert told.status == 200
        assert told.headers[HEADER] == proof(secret, bridge.port, NONCE)
        assert set(told.json) == {"service", "status", "version", "protocol"}


async def test_it_proves_nothing_to_strangers(bridge: Bridge) -> None:
    unknown = (secret_of("nobody's"), secret_of(await revoked(bridge)))
    for question in ("", *(f"?secret={name_of(secret)}&nonce={NONCE}" for secret in unknown)):
        told = await bridge("GET", f"/v1/health{question}", token=None)
        assert (told.status, told.headers.get(HEADER)) == (200, None)


@pytest.mark.parametrize(
    "question",
    ["secret=0123456789abcdef", f"nonce={NONCE}", f"secret=0123456789abcdef&nonce={NONCE[1:]}"]
    + [f"secret=0123456789abcdef&nonce={NONCE}{bad}" for bad in ("%00", "%0a", ":", "n" * 128, "%ff", " ")],
)
async def test_a_question_that_is_none_is_refused(bridge: Bridge, question: str) -> None:
    assert (await bridge("GET", f"/v1/health?{question}", token=None)).code == "invalid_request"


async def test_a_proof_is_good_for_one_nonce_and_one_port_only() -> None:
    secret = secret_of(OWNER)
    proofs = {proof(secret, port, nonce) for port in (17860, 17861) for nonce in (NONCE, NONCE[::-1])}
    assert len(proofs) == 4
    assert secret not in proofs


async def test_the_name_of_a_secret_opens_nothing(bridge: Bridge) -> None:
    name = name_of(secret_of(OWNER))
    for token in (name, secret_of(OWNER)):
        assert bridge.app[CLIENTS].caller(token) is None
