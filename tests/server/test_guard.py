"""What is refused before any handler runs; every route in every way is tests/security/test_web_matrix.py."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.server.guard import SECURITY_HEADERS
from tests.server.conftest import OWNER, Bridge, Samples


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
