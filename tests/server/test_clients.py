from __future__ import annotations

import hashlib
import stat
import sys
from pathlib import Path

import pytest

from bridge.errors import Busy, ClientUnknown, ConfigInvalid, PairingFailed
from bridge.server.clients import CLIENTS, Clients
from bridge.server.pair import ALPHABET, PAIRING, TRIES, TRIES_A_MINUTE, Pairing
from tests.server.conftest import Bridge


async def test_pairing_gives_a_token_that_opens_and_can_be_revoked(bridge: Bridge) -> None:
    code = (await bridge("POST", "/v1/pair/code")).json["code"]
    typed = {"code": f" {code.lower()} ", "client": "lightroom", "name": "Studio Mac"}
    paired = await bridge("POST", "/v1/pair", token=None, json=typed)
    assert paired.status == 201
    token, client_id = paired.json["token"], paired.json["client_id"]
    assert (await bridge("GET", "/v1/ready", token=token)).status == 200
    (listed,) = (await bridge("GET", "/v1/clients")).json["clients"]
    assert (listed["client_id"], listed["client"], listed["name"]) == (client_id, "lightroom", "Studio Mac")
    assert (await bridge("DELETE", f"/v1/clients/{client_id}")).status == 204
    assert (await bridge("GET", "/v1/ready", token=token)).code == "unauthorized"
    assert (await bridge("DELETE", f"/v1/clients/{client_id}")).code == "client_unknown"


async def test_a_client_may_revoke_itself_and_nobody_else(bridge: Bridge) -> None:
    clients = bridge.app[CLIENTS]
    own, other = (clients.add("console", name, rights=("review",)) for name in ("own", "other"))
    assert (await bridge("DELETE", f"/v1/clients/{other.client_id}", token=own.token)).code == "owner_only"
    assert (await bridge("DELETE", "/v1/clients/nobody", token=own.token)).code == "owner_only"
    assert (await bridge("DELETE", f"/v1/clients/{own.client_id}", token=own.token)).status == 204
    assert (await bridge("GET", "/v1/ready", token=own.token)).code == "unauthorized"
    assert (await bridge("GET", "/v1/ready", token=other.token)).status == 200


async def test_a_code_works_once(bridge: Bridge) -> None:
    body = {"code": bridge.app[PAIRING].new_code().code, "client": "console", "name": "x"}
    assert (await bridge("POST", "/v1/pair", token=None, json=body)).status == 201
    assert (await bridge("POST", "/v1/pair", token=None, json=body)).code == "pairing_failed"


async def test_tokens_are_nowhere_on_disk(bridge: Bridge) -> None:
    body = {"code": bridge.app[PAIRING].new_code().code, "client": "console", "name": "x"}
    token = (await bridge("POST", "/v1/pair", token=None, json=body)).json["token"]
    await bridge("GET", "/v1/ready", token=token)
    await bridge("GET", "/v1/ready", token=token + "x")
    written = b"".join(path.read_bytes() for path in bridge.places.data.rglob("*") if path.is_file())
    assert token.encode() not in written
    assert body["code"].encode() not in written
    assert hashlib.sha256(token.encode()).hexdigest().encode() in written


@pytest.mark.skipif(sys.platform == "win32", reason="there the profile folder's access list protects")
def test_clients_are_for_the_owners_eyes(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    Clients(path, "owner").add("lightroom", "x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_clients_survive_a_restart(tmp_path: Path) -> None:
    token = Clients(tmp_path / "clients.json", "owner").add("lightroom", "x").token
    again = Clients(tmp_path / "clients.json", "owner")
    assert again.caller(token) is not None
    assert again.caller("owner") is not None
    assert again.caller("") is None
    again.remove(again.states().clients[0].client_id)
    assert Clients(tmp_path / "clients.json", "owner").caller(token) is None
    with pytest.raises(ClientUnknown):
        again.remove("nobody")


def test_a_damaged_list_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "clients.json"
    path.write_text("{")
    with pytest.raises(ConfigInvalid):
        Clients(path, "owner")
    assert path.read_text() == "{"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_code_lives_five_minutes() -> None:
    clock = Clock()
    pairing = Pairing(clock)
    code = pairing.new_code().code
    clock.now += 299
    pairing.redeem(code)
    code = pairing.new_code().code
    clock.now += 301
    with pytest.raises(PairingFailed):
        pairing.redeem(code)


def test_a_code_lives_five_tries() -> None:
    pairing = Pairing(Clock())
    code = pairing.new_code().code
    for _ in range(TRIES):
        with pytest.raises(PairingFailed):
            pairing.redeem("AAAA-AAAA")
    with pytest.raises(PairingFailed):
        pairing.redeem(code)


def test_without_a_code_nothing_pairs() -> None:
    pairing = Pairing(Clock())
    for guess in ("", " ", "-", "é"):
        with pytest.raises(PairingFailed):
            pairing.redeem(guess)


def test_guessing_is_slow_over_all_codes() -> None:
    clock = Clock()
    pairing = Pairing(clock)
    for _ in range(TRIES_A_MINUTE):
        pairing.new_code()
        with pytest.raises(PairingFailed):
            pairing.redeem("AAAA-AAAA")
    code = pairing.new_code().code
    with pytest.raises(Busy) as caught:
        pairing.redeem(code)
    assert caught.value.retry_after == 60
    clock.now += 61
    pairing.redeem(code)


def test_codes_are_readable_and_differ() -> None:
    codes = {Pairing().new_code().code for _ in range(50)}
    assert len(codes) == 50
    assert {sign for code in codes for sign in code.replace("-", "")} <= set(ALPHABET)
    assert all(len(code.replace("-", "")) == 8 for code in codes)
