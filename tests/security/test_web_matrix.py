"""Every route against every kind of caller, from the bridge's own openapi.json: no route can be forgotten.

One rule says what must come back: the checks of docs/protocol.md, "Who may", are made in their order, and
the first that fails names itself. Each value below says only whether it is good; nothing is copied
from the guard.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bridge.server.app import ROUTES
from bridge.server.guard import SECURITY_HEADERS
from bridge.server.openapi import document
from tests.security.conftest import Wire, paired, revoked
from tests.server.conftest import OWNER, Bridge, Reply

Json = dict[str, Any]
DOCUMENT = document(ROUTES)
REFUSALS = ("host_refused", "origin_refused", "unauthorized", "owner_only", "unsupported_media_type")
CORS_SIMPLE = {"text/plain", "multipart/form-data", "application/x-www-form-urlencoded"}
SAMPLES_OF_A_ROUTE = 40
"""Cases drawn from all combinations; those with one thing wrong are all made besides."""


@dataclass(frozen=True)
class Form:
    """A header's value, with {port} in it, and whether it is the bridge's own; None: not sent."""

    text: str | None
    good: bool


def _forms(good: list[str | None], bad: list[str]) -> tuple[Form, ...]:
    return tuple(Form(text, True) for text in good) + tuple(Form(text, False) for text in bad)


HOSTS = _forms(
    ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}", "LocalHost:{port}"],
    [
        *("", "127.0.0.1", "localhost", "[::1]", "::1:{port}", "127.0.0.1:1", "127.0.0.1:0{port}"),
        *("127.0.0.1.:{port}", "localhost.:{port}", "127.0.0.1:{port}.", "127.0.0.1:{port}/", "127.0.0.1:"),
        *("127.1:{port}", "2130706433:{port}", "0x7f000001:{port}", "0177.0.0.1:{port}", "0.0.0.0:{port}"),
        *("[::ffff:127.0.0.1]:{port}", "[0:0:0:0:0:0:0:1]:{port}", "[::]:{port}", "127.0.0.2:{port}"),
        *("evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "localhost.evil:{port}"),
        *("user@127.0.0.1:{port}", "127.0.0.1:{port}@evil.example", "http://127.0.0.1:{port}"),
        *("127.0.0.1:{port}, evil.example", "a, b", "a:99999", "127.0.0.1:99999", "127.0.0.1 :{port}"),
        *(
            "localho\u017ft:{port}",
            "\uff4cocalhost:{port}",
            "\udcff\udcfe",
            "127.0.0.1:{port}#",
            "%31:{port}",
        ),
    ],
)
ORIGINS = _forms(
    [None, "http://127.0.0.1:{port}", "http://localhost:{port}", "http://[::1]:{port}"],
    [
        *("null", "NULL", "", "file://", "chrome-extension://abcdef", "about:blank", "*", "evil.example"),
        *("https://127.0.0.1:{port}", "ws://127.0.0.1:{port}", "127.0.0.1:{port}", "//127.0.0.1:{port}"),
        *("http://127.0.0.1", "http://127.0.0.1:1", "http://127.0.0.1:99999", "http://127.0.0.1:{port}0"),
        *("http://127.0.0.1:{port}/", "http://127.0.0.1:{port}.", "http://127.0.0.1.:{port}"),
        *("http://localhost.:{port}", "http://user@127.0.0.1:{port}", "http://127.0.0.1:{port}@evil.example"),
        *("http://evil.example", "http://evil.example:{port}", "http://127.0.0.1.evil.example:{port}"),
        *("http://127.0.0.1:{port} http://evil.example", "http://127.0.0.1:{port}, null", "\udcff\udcfe"),
    ],
)
SITES = _forms([None, "none", "same-origin"], ["cross-site", "same-site", "Cross-Site", "", "nonsense"])
TYPES = (
    *(None, "application/json", "application/json; charset=utf-8", "Application/JSON"),
    *("text/plain", "text/plain; x=application/json", "TEXT/PLAIN", "application/x-www-form-urlencoded"),
    *("multipart/form-data; boundary=x", "application/x-gpen-frame", "application/octet-stream"),
    *("image/png", "image/svg+xml", "text/html", "application/xml"),
)
CALLERS = ("none", "in_query", "wrong", "revoked", "client", "owner")
OPEN = {
    ("GET", "/v1/health"),
    ("POST", "/v1/pair"),
    ("GET", "/v1/events"),
    ("GET", "/"),
    ("GET", "/console/version/folder/file"),
}
"""Design.md section 3, "Who may": the only addresses that take no token, one of them only at first."""


@dataclass(frozen=True)
class Case:
    """One request; everything about it that the checks look at."""

    method: str
    path: str
    operation: Mapping[str, Any] | None
    host: Form = HOSTS[0]
    origin: Form = ORIGINS[0]
    site: Form = SITES[0]
    caller: str = "owner"
    content_type: str | None = "application/json"

    @property
    def refusal(self) -> str | None:
        """The code that must come back; None when it is the handler's turn."""
        access = "client" if self.operation is None else self.operation["x-access"]
        refused = {
            "host_refused": not self.host.good,
            "origin_refused": not (self.origin.good and self.site.good),
            "unauthorized": access in ("client", "owner", "itself")
            and self.caller not in ("client", "owner"),
            "owner_only": access in ("owner", "itself") and self.caller != "owner",  # no path here is its own
            "unsupported_media_type": not self._type_fits,
        }
        return next((code for code in REFUSALS if refused[code]), None)

    @property
    def _type_fits(self) -> bool:
        if self.operation is None or self.method == "GET":
            return True
        kind = self.content_type and self.content_type.partition(";")[0].strip().lower()
        content = self.operation.get("requestBody", {}).get("content")
        return kind in content if content else kind not in CORS_SIMPLE


def _right_type(operation: Json) -> str | None:
    content = operation.get("requestBody", {}).get("content", {"application/json": {}})
    return next(iter(content))


def _operations() -> Iterator[tuple[str, str, Json]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path.replace("{", "").replace("}", ""), operation


def _cases(method: str, path: str, operation: Json) -> list[Case]:
    """Each thing wrong alone, then a fixed draw from all combinations."""
    right = Case(method, path, operation, content_type=_right_type(operation))
    alone = [
        *(replace(right, host=host) for host in HOSTS),
        *(replace(right, origin=origin) for origin in ORIGINS),
        *(replace(right, site=site) for site in SITES),
        *(replace(right, caller=caller) for caller in CALLERS),
        *(replace(right, content_type=kind) for kind in TYPES),
    ]
    draw = random.Random(f"{method} {path}")  # noqa: S311 - a fixed draw, not a secret
    drawn = [
        Case(
            *(method, path, operation),
            *(draw.choice(HOSTS[:4] + HOSTS), draw.choice(ORIGINS[:4] * 5 + ORIGINS)),
            *(draw.choice(SITES), draw.choice(CALLERS), draw.choice(TYPES)),
        )
        for _ in range(SAMPLES_OF_A_ROUTE)
    ]
    return alone + drawn


@dataclass
class Attack:
    """Sends cases over one wire."""

    wire: Wire
    tokens: Mapping[str, str | None]

    async def send(self, case: Case) -> Reply:
        headers = [
            (name, form.text.format(port=self.wire.port))
            for name, form in (("Host", case.host), ("Origin", case.origin), ("Sec-Fetch-Site", case.site))
            if form.text is not None
        ]
        if (token := self.tokens[case.caller]) is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        if case.content_type is not None:
            headers.append(("Content-Type", case.content_type))
        body = b"" if case.method in ("GET", "HEAD") else b"{}"
        path = case.path + (f"?token={OWNER}&access_token={OWNER}" if case.caller == "in_query" else "")
        return await self.wire.ask(case.method, path, headers, body)


@pytest.fixture
async def attack(bridge: Bridge, wire: Wire) -> Attack:
    client = await paired(bridge)
    tokens = {"none": None, "in_query": None, "wrong": "x" * 43, "revoked": await revoked(bridge)}
    return Attack(wire, {**tokens, "client": client["token"], "owner": OWNER})


def _check_common(reply: Reply, case: object) -> None:
    """What holds for every answer, whoever asked."""
    assert reply.status < 500 or reply.status == 503, (case, reply.body)
    for name, value in SECURITY_HEADERS.items():
        if name not in ("Content-Security-Policy", "Cache-Control"):  # the console's page has its own
            assert reply.headers[name] == value, case
    assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"], case
    assert not [name for name in reply.headers if name.lower().startswith("access-control-")], case


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    list(_operations()),
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_first_check_that_fails_names_itself(
    attack: Attack, method: str, path: str, operation: Json
) -> None:
    for case in _cases(method, path, operation):
        reply = await attack.send(case)
        _check_common(reply, case)
        told = reply.code if reply.headers.get("Content-Type") == "application/problem+json" else None
        if case.refusal is not None:
            assert told == case.refusal, (case, reply.body)
        else:
            assert told not in REFUSALS, (case, reply.body)


def test_no_address_is_open_that_the_design_does_not_name() -> None:
    found = {
        (method, path)
        for method, path, operation in _operations()
        if operation["x-access"] in ("open", "handshake")
    }
    assert found == OPEN


async def test_no_address_takes_a_method_that_is_not_described(attack: Attack) -> None:
    """Preflights of other sites among them: they must never be told that they may."""
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
    for path, method in itertools.product(DOCUMENT["paths"], methods):
        if method.lower() in DOCUMENT["paths"][path]:
            continue
        address = path.replace("{", "").replace("}", "")
        for caller in ("none", "client"):
            for origin in (ORIGINS[0], Form("http://evil.example", False)):
                case = Case(method, address, None, origin=origin, caller=caller)
                reply = await attack.send(case)
                _check_common(reply, case)
                expected = {"origin_refused": 403, "unauthorized": 401, None: 405}[case.refusal]
                assert reply.status == expected, (case, reply.body)


@pytest.mark.parametrize(
    "path",
    [
        *("/nowhere", "/v1", "/v1/", "/v2/health", "//v1/health", "/v1//health", "/v1/health/", "/V1/health"),
        *(
            "/v1/health%2f..%2fready",
            "/v1/../v1/ready",
            "/console",
            "/console/",
            "/console/app",
            "/../etc/passwd",
        ),
        *("/v1/ready;x=1", "/v1/ready%00", "/%2e%2e/%2e%2e/etc/passwd", "/..%5c..%5capp.py"),
        *(
            "/bridge.json",
            "/clients.json",
            "/jobs.sqlite",
            "/bridge.log",
            "/weights/manifest.toml",
            "/audit/",
        ),
    ],
)
async def test_nothing_else_is_there(attack: Attack, path: str) -> None:
    for caller in CALLERS:
        reply = await attack.send(Case("GET", path, None, caller=caller))
        assert reply.status == (404 if caller in ("client", "owner") else 401), (caller, reply.body)


@pytest.mark.parametrize(
    "doubled",
    [
        (("Host", "127.0.0.1:{port}"), ("Host", "evil.example")),
        (("Origin", "http://127.0.0.1:{port}"), ("Origin", "http://evil.example")),
        (("Origin", "http://evil.example"), ("Origin", "http://127.0.0.1:{port}")),
        (("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")),
        (("Authorization", f"Bearer {OWNER}"), ("Authorization", "Bearer other")),
        (("Content-Type", "application/json"), ("Content-Type", "text/plain")),
        (("Content-Encoding", "identity"), ("Content-Encoding", "gzip")),
        (("Content-Encoding", "gzip"), ("Content-Encoding", "identity")),
    ],
)
async def test_a_header_that_comes_twice_is_not_taken_at_its_better_word(
    wire: Wire, doubled: tuple[tuple[str, str], ...]
) -> None:
    right = {
        "Host": "127.0.0.1:{port}",
        "Authorization": f"Bearer {OWNER}",
        "Content-Type": "application/json",
    }
    right.pop(doubled[0][0], None)
    headers = [(name, value.format(port=wire.port)) for name, value in (*right.items(), *doubled)]
    reply = await wire.ask("PUT", "/v1/presets/mine", headers, b'{"parameters": {}}')
    assert 400 <= reply.status < 500, reply.body


async def test_a_token_works_nowhere_but_in_its_header(attack: Attack, bridge: Bridge) -> None:
    assert (await attack.send(Case("GET", "/v1/ready", None, caller="in_query"))).status == 401
    for header in ("Cookie", "X-Token", "Proxy-Authorization", "X-Forwarded-Authorization"):
        headers = [("Host", f"127.0.0.1:{bridge.port}"), (header, f"Bearer {OWNER}")]
        assert (await attack.wire.ask("GET", "/v1/ready", headers)).status == 401
    assert OWNER not in bridge.places.log_file.read_text()


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host", "X-Forwarded-For", "Forwarded", "X-Real-IP", "X-HTTP-Method-Override"]
)
async def test_what_a_proxy_would_say_changes_nothing(wire: Wire, header: str) -> None:
    own = f"127.0.0.1:{wire.port}"
    for host, status in ((own, 401), ("evil.example", 421)):
        headers = [("Host", host), (header, {"X-HTTP-Method-Override": "DELETE"}.get(header, own))]
        assert (await wire.ask("GET", "/v1/ready", headers)).status == status
