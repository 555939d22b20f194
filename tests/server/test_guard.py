"""The threat list of docs/protocol.md, and every route against it, taken from /openapi.json."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.server.app import ROUTES
from bridge.server.guard import SECURITY_HEADERS
from bridge.server.openapi import document
from bridge.server.pair import PAIRING
from tests.server.conftest import OWNER, Bridge, Samples

OPERATIONS = [
    (method.upper(), path.replace("{", "").replace("}", ""), operation)
    for path, item in document(ROUTES)["paths"].items()
    for method, operation in item.items()
]
TOKENLESS = {
    ("GET", "/v1/health"),
    ("POST", "/v1/pair"),
    ("GET", "/v1/events"),
    ("GET", "/"),
    ("GET", "/console/version/folder/file"),
}
HOSTILE_HOSTS = [
    "evil.example",
    "",
    "127.0.0.1",
    "user@127.0.0.1:{port}",
    "a, b",
    "a:99999",
    "127.0.0.1:1",
    "[::1]",
]
HOSTILE_ORIGINS = [
    "null",
    "http://evil.example",
    "https://127.0.0.1:{port}",
    "http://127.0.0.1:99999",
    "file://",
]


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    """A request that is right but for what the test makes wrong."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return {"json": {}}
    if content:
        return {"data": b"GPEN", "headers": {"Content-Type": "application/x-gpen-frame"}}
    return {}


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
async def test_every_route_refuses_strangers(
    bridge: Bridge, method: str, path: str, operation: dict[str, Any]
) -> None:
    body = body_of(operation)
    headers = body.pop("headers", {})
    open_to_all = (method, path) in TOKENLESS
    for token in (None, "wrong", OWNER + "x", ""):
        reply = await bridge(method, path, token=token, headers=headers, **body)
        assert (reply.status == 401) != open_to_all, reply.body
    in_query = await bridge(method, f"{path}?token={OWNER}", token=None, headers=headers, **body)
    assert (in_query.status == 401) != open_to_all
    for host in HOSTILE_HOSTS:
        named = {**headers, "Host": host.format(port=bridge.port)}
        reply = await bridge(method, path, headers=named, **body)
        assert reply.code == "host_refused", host
    for origin in HOSTILE_ORIGINS:
        reply = await bridge(
            method, path, headers={**headers, "Origin": origin.format(port=bridge.port)}, **body
        )
        assert reply.code == "origin_refused", origin
    for site in ("cross-site", "same-site", "Cross-Site"):
        reply = await bridge(method, path, headers={**headers, "Sec-Fetch-Site": site}, **body)
        assert reply.code == "origin_refused"


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS)
async def test_owner_routes_refuse_paired_clients(
    bridge: Bridge, method: str, path: str, operation: dict[str, Any]
) -> None:
    code = bridge.app[PAIRING].new_code().code
    paired = await bridge("POST", "/v1/pair", json={"code": code, "client": "test", "name": "A test"})
    body = body_of(operation)
    reply = await bridge(method, path, token=paired.json["token"], headers=body.pop("headers", {}), **body)
    assert (reply.code == "owner_only") == (operation["x-access"] == "owner")
    assert reply.status != 401


@pytest.mark.parametrize(("method", "path", "operation"), [o for o in OPERATIONS if o[0] != "GET"])
async def test_every_change_refuses_what_a_page_may_send_unasked(
    bridge: Bridge, method: str, path: str, operation: dict[str, Any]
) -> None:
    takes = operation.get("requestBody", {}).get("content", {})
    for simple in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        if simple.partition(";")[0] in takes:
            continue
        for data in (None, b"{}"):
            reply = await bridge(method, path, headers={"Content-Type": simple}, data=data)
            assert reply.code == "unsupported_media_type", (simple, reply.body)


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LocalHost:{port}", "[::1]:{port}"])
async def test_own_names_are_welcome(bridge: Bridge, host: str) -> None:
    own = host.format(port=bridge.port)
    reply = await bridge("GET", "/v1/health", headers={"Host": own, "Origin": f"http://{own}"})
    assert reply.status == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET /v1/health HTTP/1.1\n\n",
        "GET /v1/health HTTP/1.0\n\n",
        "GET /v1/health HTTP/1.1\nHost: 127.0.0.1:{port}\nHost: evil.example\n\n",
        "GET /v1/health HTTP/1.1\nHost: 127.0.0.1:{port}\x00\n\n",
        "GET /v1/health HTTP/1.1\nHost: 127.0.0.1:{port}\nOrigin: null\nOrigin: http://127.0.0.1:{port}\n\n",
        "GET /v1/health HTTP/1.1\nHost: \xff\xfe\n\n",
        "GET http://evil.example/v1/health HTTP/1.1\nHost: evil.example\n\n",
        "POST /v1/pair/code HTTP/1.1\nHost: 127.0.0.1:{port}\nAuthorization: Bearer \xff\xfe\n\n",
        "POST /v1/pair/code HTTP/1.1\nHost: 127.0.0.1:{port}\nExpect: nonsense\n\n",
        "GET /v1/%ff%00 HTTP/1.1\nHost: 127.0.0.1:{port}\n\n",
        "nonsense\n\n",
    ],
)
async def test_malformed_requests_are_refused_and_survived(bridge: Bridge, head: str) -> None:
    text = head.replace("{port}", str(bridge.port)).replace("\n", "\r\n")
    assert 400 <= (await bridge.raw(text.encode("latin-1"))).status < 500
    assert (await bridge("GET", "/v1/health")).status == 200


async def test_two_authorizations_are_none(bridge: Bridge) -> None:
    head = f"GET /v1/ready HTTP/1.1\nHost: 127.0.0.1:{bridge.port}\n" + f"Authorization: Bearer {OWNER}\n" * 2
    reply = await bridge.raw((head + "\n").replace("\n", "\r\n").encode())
    assert reply.code == "unauthorized"


async def test_scheme_is_bearer_in_any_case_and_nothing_else(bridge: Bridge) -> None:
    for scheme, status in (("bearer", 200), ("BEARER", 200), ("Basic", 401), ("", 401)):
        value = f"{scheme} {OWNER}".strip()
        reply = await bridge("GET", "/v1/ready", token=None, headers={"Authorization": value})
        assert reply.status == status


async def test_every_response_carries_the_security_headers(bridge: Bridge) -> None:
    for reply in (
        await bridge("GET", "/v1/health"),
        await bridge("GET", "/v1/ready", token=None),
        await bridge("GET", "/nowhere"),
        await bridge("GET", "/v1/health", headers={"Expect": "nonsense"}),
    ):
        for name, value in SECURITY_HEADERS.items():
            assert reply.headers[name] == value
        assert reply.headers["Server"] == "gpen-bridge"
        assert "Access-Control-Allow-Origin" not in reply.headers


async def test_an_unknown_address_tells_strangers_nothing(bridge: Bridge) -> None:
    assert (await bridge("GET", "/nowhere", token=None)).code == "unauthorized"
    assert (await bridge("GET", "/nowhere")).code == "not_found"


async def test_compressed_bodies_are_refused(bridge: Bridge) -> None:
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    reply = await bridge("PUT", "/v1/presets/mine", headers=headers, data=b"\x1f\x8b")
    assert reply.code == "unsupported_media_type"


@pytest.mark.parametrize("chunked", [False, True])
async def test_json_bodies_are_limited(start: Any, chunked: bool) -> None:
    bridge = await start(max_json_bytes=1000)

    async def in_chunks() -> Any:
        for _ in range(20):
            yield b" " * 100

    data = in_chunks() if chunked else b" " * 2000
    headers = {"Content-Type": "application/json"}
    reply = await bridge("PUT", "/v1/presets/mine", data=data, headers=headers)
    assert reply.code == "body_too_large"


@pytest.mark.parametrize("kind", ["frame", "multipart"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_pictures_are_limited_while_they_stream(
    start: Any, samples: Samples, kind: str, chunked: bool
) -> None:
    bridge = await start(max_upload_bytes=5000)
    await bridge.ready()
    if kind == "frame":
        body, headers = samples.frame(), {"Content-Type": "application/x-gpen-frame"}
    else:
        head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        body = head + samples.png + b"\r\n--x--\r\n"
        headers = {"Content-Type": "multipart/form-data; boundary=x"}

    async def in_chunks() -> Any:
        for start_at in range(0, len(body), 500):
            yield body[start_at : start_at + 500]

    reply = await bridge("POST", "/v1/enhance", headers=headers, data=in_chunks() if chunked else body)
    assert reply.code == "body_too_large"
