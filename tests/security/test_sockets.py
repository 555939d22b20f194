"""The WebSocket under the same attacks as every route: who gets an upgrade, and who is told anything."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import aiohttp
import pytest

from bridge.server import events
from tests.security.conftest import Wire, paired, revoked
from tests.security.test_web_matrix import HOSTS, ORIGINS, SITES
from tests.server.conftest import OWNER, Bridge

UPGRADE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]


async def test_an_upgrade_is_for_our_own_pages_and_for_programs(wire: Wire) -> None:
    """Each header alone in all its forms, with the two others right; a token in a header does not help."""
    own = (HOSTS[0], ORIGINS[0], SITES[0])
    tried = 0
    for place, forms in enumerate((HOSTS, ORIGINS, SITES)):
        for form, bearer in itertools.product(forms, (False, True)):
            sent = [*own[:place], form, *own[place + 1 :]]
            headers = [
                (name, value.text.format(port=wire.port))
                for name, value in zip(("Host", "Origin", "Sec-Fetch-Site"), sent, strict=True)
                if value.text is not None
            ]
            headers += [("Authorization", f"Bearer {OWNER}")] if bearer else []
            reply = await wire.ask("GET", "/v1/events", headers + UPGRADE)
            code = None if form.good else "host_refused" if place == 0 else "origin_refused"
            assert reply.status == (101 if form.good else {"host_refused": 421}.get(str(code), 403)), form
            assert form.good or reply.code == code, form
            tried += 1
    assert tried == 2 * (len(HOSTS) + len(ORIGINS) + len(SITES))


async def until_closed(socket: aiohttp.ClientWebSocketResponse) -> None:
    async with asyncio.timeout(10):
        async for _ in socket:
            pass


async def told_first(bridge: Bridge, first: Any) -> tuple[Any, int | None]:
    async with bridge.session.ws_connect(f"{bridge.url}/v1/events") as socket:
        if isinstance(first, bytes):
            await socket.send_bytes(first)
        else:
            await socket.send_json(first)
        received = await socket.receive(timeout=10)
        return received.data if received.type is aiohttp.WSMsgType.TEXT else None, socket.close_code


async def test_the_first_message_decides(bridge: Bridge) -> None:
    gone, client = await revoked(bridge), await paired(bridge)
    for token in (OWNER, client["token"]):
        told, _ = await told_first(bridge, {"token": token})
        assert '"hello"' in told
    for first in (
        *({"token": gone}, {"token": "wrong"}, {"token": OWNER + " "}, {"token": [OWNER]}, {"since": 0}, []),
        *(None, "x" * 5000, b"\xff\xfe", OWNER.encode(), {"token": OWNER, "admin": True}),
        *({"token": OWNER, "since": -1}, {"token": OWNER, "since": 2**80}, {"token": OWNER, "since": "1e9"}),
    ):
        told, code = await told_first(bridge, first)
        assert told is None, first
        assert code in (4401, aiohttp.WSCloseCode.MESSAGE_TOO_BIG), first
    assert (await bridge("GET", "/v1/health")).status == 200


async def test_a_revoked_client_hears_no_more(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.05)
    client = await paired(bridge)
    async with bridge.session.ws_connect(f"{bridge.url}/v1/events") as socket:
        await socket.send_json({"token": client["token"], "since": 0})
        assert (await socket.receive_json())["type"] == "hello"
        await bridge("DELETE", f"/v1/clients/{client['client_id']}")
        await until_closed(socket)
    assert socket.close_code == 4401


async def test_a_socket_that_floods_is_closed_and_costs_nobody_else(bridge: Bridge) -> None:
    async with bridge.session.ws_connect(f"{bridge.url}/v1/events") as socket:
        await socket.send_json({"token": OWNER})
        await socket.receive_json()
        await socket.send_str("x" * (events.MAX_MESSAGE_BYTES + 1))
        await until_closed(socket)
        assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
    assert (await bridge("GET", "/v1/health")).status == 200
