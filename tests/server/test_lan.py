"""The door for other computers, on real sockets with real TLS; all of them are played by this computer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge import certificates
from bridge.config import Places, Settings
from bridge.errors import ConfigInvalid, PortTaken
from bridge.server import serve as serving
from bridge.server.app import READINESS
from bridge.server.lan import LAN, lan_of, tls
from bridge.server.pair import PAIRING
from tests.server.conftest import Reply
from tests.server.fakes import FakeParts

pytest.importorskip("cryptography", reason="the extra studio brings it")


class Door:
    """Somebody at the second door."""

    def __init__(self, app: Any, owner: str, trust: ssl.SSLContext | None) -> None:
        self.app, self.owner, self.trust = app, owner, trust
        self.port = app[LAN].port

    async def ask(
        self, method: str, path: str, *, token: str | None = None, headers: Any = None, **body: Any
    ) -> Reply:
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        scheme = "https" if self.trust else "http"
        url = f"{scheme}://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as session:
            sent.setdefault("Host", f"bridge.lan:{self.port}")
            async with session.request(
                method,
                url,
                headers=sent,
                ssl=self.trust or False,
                server_hostname="bridge.lan" if self.trust else None,
                **body,
            ) as answer:
                return Reply(answer.status, answer.headers, await answer.read())

    async def paired(self, *rights: Any, name: str = "Anna") -> str:
        code = self.app[PAIRING].new_code("client", tuple(rights) or ("submit", "review")).code
        told = await self.ask("POST", "/v1/pair", json={"code": code, "client": "test", "name": name})
        token: str = told.json["token"]
        return token


Open = Callable[..., Awaitable[Door]]


@pytest.fixture(scope="session")
def studio_files(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    return certificates.make(tmp_path_factory.mktemp("tls"), ["bridge.lan", "127.0.0.1"])


@pytest.fixture
async def open_door(
    tmp_path: Path, studio_files: certificates.Certificates, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Open]:
    monkeypatch.setattr(serving, "LOOPBACK", ("localhost",))  # so that 127.0.0.1 may play another computer's
    monkeypatch.setattr("bridge.server.lan.LOOPBACK", ("localhost",))
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Door:
            own = {"tls_certificate": studio_files.server, "tls_key": studio_files.server_key}
            wanted = Settings(
                **{"host": "127.0.0.1", "lan_port": 0, "names": ("Bridge.LAN",), **own, **settings}
            )
            places = Places(tmp_path / "home" / "bridge.json", tmp_path / "data")
            sockets = serving.listen(0)
            stack.callback(lambda: [one.close() for one in sockets])
            app, announcement = await stack.enter_async_context(
                serving._listening(wanted, places, FakeParts().open, sockets, 0.0)
            )
            await app[READINESS].settled()
            trust = ssl.create_default_context(cafile=studio_files.authority)
            return Door(app, announcement.token, None if wanted.trusted_proxies else trust)

        yield start


async def test_a_client_comes_in_by_name_over_tls(open_door: Open) -> None:
    door = await open_door()
    assert (await door.ask("GET", "/v1/health")).status == 200
    assert (await door.ask("GET", "/v1/ready")).code == "unauthorized"
    token = await door.paired()
    assert (await door.ask("GET", "/v1/ready", token=token)).status == 200


async def test_both_doors_at_one_port_are_refused(
    open_door: Open, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    real = serving.listen
    monkeypatch.setattr(serving, "listen", lambda _: real(unused_tcp_port))
    with pytest.raises(ConfigInvalid, match=f"lan_port.*{unused_tcp_port}"):
        await open_door(lan_port=unused_tcp_port)


async def test_a_port_that_the_system_gives_twice_is_not_the_second_door(
    open_door: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, given = serving._bound, []

    def twice(family: Any, host: str, port: int) -> Any:
        if given and host == "127.0.0.1":  # the same socket's number, as at another address
            return given[0].dup()
        listening = real(family, host, port)
        given.append(listening)
        return listening

    monkeypatch.setattr(serving, "_bound", twice)
    with pytest.raises(PortTaken, match="twice"):
        await open_door()


async def test_the_owners_token_opens_from_this_computer_only(open_door: Open) -> None:
    door = await open_door()
    assert (await door.ask("GET", "/v1/ready", token=door.owner)).code == "unauthorized"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"https://127.0.0.1:{door.port}/v1/events",
            ssl=door.trust,
            server_hostname="bridge.lan",
            headers={"Host": f"bridge.lan:{door.port}"},
        ) as socket,
    ):
        await socket.send_json({"token": door.owner})
        assert (await socket.receive()).type == aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4401


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "127.0.0.1:{port}"}, "host_refused"),
        ({"Host": "bridge.lan"}, "host_refused"),
        ({"Host": "bridge.lan:1"}, "host_refused"),
        ({"Host": "evil.example:{port}"}, "host_refused"),
        ({"Origin": "http://bridge.lan:{port}"}, "origin_refused"),
        ({"Origin": "https://evil.example"}, "origin_refused"),
        ({"Origin": "https://127.0.0.1:{port}"}, "origin_refused"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_refused"),
        ({"Host": "BRIDGE.lan:{port}", "Origin": "https://bridge.lan:{port}"}, None),
    ],
)
async def test_only_the_names_that_were_set_mean_this_bridge(
    open_door: Open, headers: dict[str, str], code: str | None
) -> None:
    door = await open_door()
    sent = {name: value.format(port=door.port) for name, value in headers.items()}
    reply = await door.ask("GET", "/v1/health", headers=sent)
    assert (reply.status == 200) if code is None else (reply.code == code)


async def test_a_plain_connection_gets_nothing(open_door: Open) -> None:
    door = await open_door()
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"GET /v1/health HTTP/1.1\r\nHost: bridge.lan\r\n\r\n")
    assert b"gpen-bridge" not in await reader.read(1000)
    writer.close()


async def test_rights_bound_what_a_token_may_do(open_door: Open) -> None:
    door = await open_door()
    looker, reviewer, admin = (
        await door.paired("review"),
        await door.paired("submit"),
        await door.paired("admin"),
    )
    job: dict[str, Any] = {"client": "test", "preset": "default", "items": []}
    assert (await door.ask("POST", "/v1/jobs", token=looker, json=job)).code == "right_missing"
    assert (
        await door.ask("POST", "/v1/jobs/x/items/0/review", token=reviewer, json={})
    ).code == "right_missing"
    assert (await door.ask("GET", "/v1/clients", token=looker)).code == "owner_only"
    told = await door.ask("GET", "/v1/clients", token=admin)
    assert [one["rights"] for one in told.json["clients"]] == [["review"], ["submit"], ["admin"]]
    assert (await door.ask("GET", "/v1/jobs", token=looker)).status == 200


async def test_a_batch_is_steered_by_its_own_client_or_an_administrator(open_door: Open) -> None:
    door = await open_door()
    anna, ben, admin = (
        await door.paired(name="Anna"),
        await door.paired(name="Ben"),
        await door.paired("admin", "submit"),
    )
    upload = await door.ask(
        "POST", "/v1/uploads", token=anna, data=b"x", headers={"Content-Type": "image/png"}
    )
    items = [{"ref": "1", "source": {"upload": upload.json["upload"]}}]
    sent = {"client": "test", "preset": "default", "items": items}
    job = (await door.ask("POST", "/v1/jobs", token=anna, json=sent)).json["job"]
    for verb in ("pause", "items/0/cancel", "retry", "items"):
        body = {"items": items} if verb == "items" else {}
        assert (
            await door.ask("POST", f"/v1/jobs/{job}/{verb}", token=ben, json=body)
        ).code == "right_missing"
    assert (await door.ask("POST", f"/v1/jobs/{job}/pause", token=anna)).status == 200
    assert (await door.ask("POST", f"/v1/jobs/{job}/cancel", token=admin)).status == 200
    assert (await door.ask("POST", "/v1/jobs/nowhere/cancel", token=anna)).code == "job_unknown"


async def test_no_path_is_read_for_another_computer(open_door: Open) -> None:
    door = await open_door()
    sent = {"client": "test", "preset": "default", "items": [{"ref": "1", "source": {"path": "a.png"}}]}
    assert (await door.ask("POST", "/v1/jobs", token=await door.paired(), json=sent)).code == "path_refused"


async def test_a_client_that_asks_too_often_is_told_when_to_come_back(open_door: Open) -> None:
    door = await open_door(client_requests=8)
    anna, ben = await door.paired(), await door.paired()
    replies = [await door.ask("GET", "/v1/ready", token=anna) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert 1 <= int(replies[2].headers["Retry-After"]) <= 8
    assert (await door.ask("GET", "/v1/ready", token=ben)).status == 200


async def test_guessing_tokens_ends_soon(open_door: Open) -> None:
    door = await open_door()
    codes = [(await door.ask("GET", "/v1/ready", token="x" * 43)).status for _ in range(7)]
    assert codes == [401] * 5 + [429] * 2


async def test_a_clients_queue_is_bounded(open_door: Open) -> None:
    door = await open_door(client_items=2)
    token = await door.paired()
    upload = await door.ask(
        "POST", "/v1/uploads", token=token, data=b"x", headers={"Content-Type": "image/png"}
    )
    items = [{"ref": str(n), "source": {"upload": upload.json["upload"]}} for n in range(3)]
    reply = await door.ask(
        "POST", "/v1/jobs", token=token, json={"client": "t", "preset": "default", "items": items}
    )
    assert (reply.status, reply.code) == (429, "busy")
    assert int(reply.headers["Retry-After"]) > 0


FROM_PROXY = {"X-Forwarded-For": "10.0.0.9, 192.168.1.7", "X-Forwarded-Proto": "https", "Host": "bridge.lan"}


async def test_a_trusted_proxy_speaks_for_others(open_door: Open) -> None:
    door = await open_door(trusted_proxies=("127.0.0.1",), names=("bridge.lan:443",))
    assert (await door.ask("GET", "/v1/health", headers=FROM_PROXY)).status == 200
    origin = FROM_PROXY | {"Origin": "https://bridge.lan"}
    assert (await door.ask("GET", "/v1/health", headers=origin)).status == 200
    assert (
        await door.ask("GET", "/v1/health", headers=FROM_PROXY | {"X-Forwarded-Proto": "http"})
    ).status == 421
    for missing in ("X-Forwarded-For", "X-Forwarded-Proto"):
        sent = {name: value for name, value in FROM_PROXY.items() if name != missing}
        assert (await door.ask("GET", "/v1/health", headers=sent)).code == "host_refused"
    # Guesses count for who the proxy saw, not for who somebody claims to be.
    for number in range(5):
        forged = FROM_PROXY | {"X-Forwarded-For": f"10.0.0.{number}, 192.168.1.7"}
        assert (await door.ask("GET", "/v1/ready", token="x", headers=forged)).status == 401
    assert (await door.ask("GET", "/v1/ready", token="x", headers=FROM_PROXY)).status == 429
    other = FROM_PROXY | {"X-Forwarded-For": "192.168.1.8"}
    assert (await door.ask("GET", "/v1/ready", token="x", headers=other)).status == 401


async def test_with_a_proxy_nobody_else_may_connect(open_door: Open) -> None:
    door = await open_door(trusted_proxies=("192.0.2.9",), names=("bridge.lan:443",))
    assert (await door.ask("GET", "/v1/health", headers=FROM_PROXY)).code == "host_refused"


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "192.168.1.5"},
        {"host": "192.168.1.5", "names": ("a",)},
        {"host": "192.168.1.5", "names": ("a",), "tls_certificate": Path("a.pem")},
        {"host": "192.168.1.5", "trusted_proxies": ("192.168.1.2",)},
        {"host": "", "names": ("a",), "trusted_proxies": ("192.168.1.2",)},
    ],
)
def test_another_address_is_refused_unprotected(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigInvalid):
        lan_of(Settings(**settings))


def test_a_desktop_has_no_second_door() -> None:
    assert lan_of(Settings()).port == 0


def test_a_certificate_that_does_not_fit_stops_the_start(
    tmp_path: Path, studio_files: certificates.Certificates
) -> None:
    with pytest.raises(ConfigInvalid):
        tls(studio_files.server, studio_files.authority_key)
    with pytest.raises(ConfigInvalid):
        tls(tmp_path / "none.pem", studio_files.server_key)
    loose = tmp_path / "loose.key"
    loose.write_bytes(studio_files.server_key.read_bytes())
    loose.chmod(0o644)
    with pytest.raises(ConfigInvalid, match="Everybody"):
        tls(studio_files.server, loose)
    assert tls(None, None) is None
