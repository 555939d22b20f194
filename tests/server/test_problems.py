from __future__ import annotations

import json

import pytest

from bridge.errors import codes
from bridge.protocol.service import Problem
from tests.server.conftest import OWNER, Bridge, Samples


async def test_unexpected_exceptions_leak_nothing_and_are_logged(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.failure = ZeroDivisionError("the secret /home/anna/photo.tif")  # type: ignore[assignment]
    reply = await bridge("POST", "/v1/enhance", data=samples.form())
    assert (reply.status, reply.code) == (500, "internal")
    assert b"secret" not in reply.body
    assert b"Traceback" not in reply.body
    logged = [json.loads(line) for line in bridge.places.log_file.read_text().splitlines()]
    (entry,) = [entry for entry in logged if entry.get("instance") == reply.json["instance"]]
    assert "ZeroDivisionError" in entry["exception"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nowhere", "not_found"),
        ("POST", "/v1/health", "method_not_allowed"),
        ("HEAD", "/v1/health", None),
    ],
)
async def test_the_servers_own_refusals_are_problems_too(
    bridge: Bridge, method: str, path: str, code: str | None
) -> None:
    reply = await bridge(method, path)
    if code is None:  # a HEAD has no body to tell it
        assert reply.status == 405
        return
    problem = Problem.model_validate(reply.json)
    assert (problem.code, problem.status) == (code, reply.status)
    assert problem.title == codes()[code].title
    assert problem.instance.startswith("urn:uuid:")
    assert problem.hint


@pytest.mark.parametrize(
    "head",
    [
        b"PUT /v1/presets/x HTTP/1.1\r\nContent-Type: \xff\xfe\r\n",
        b"POST /v1/enhance HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=\xff\r\n",
        b"GET /\xff HTTP/1.1\r\n",
        b"GET /%ff%fe HTTP/1.1\r\n",
        b"GET /v1/presets/%ff%00%0d%0a HTTP/1.1\r\n",
        b"DELETE /v1/presets/%ed%a0%80 HTTP/1.1\r\n",
        b"GET /v1/log?lines=%ff HTTP/1.1\r\n",
        b"POST /v1/requests/%ff/cancel HTTP/1.1\r\n",
        b"POST /v1/faces HTTP/1.1\r\nContent-Type: application/x-gpen-frame\r\nGPEN-Request-Id: \xff\r\n",
    ],
)
async def test_bytes_that_are_no_text_are_quoted_as_text(bridge: Bridge, head: bytes) -> None:
    common = f"Host: 127.0.0.1:{bridge.port}\r\nAuthorization: Bearer {OWNER}\r\nContent-Length: 0\r\n\r\n"
    reply = await bridge.raw(head + common.encode())
    assert 400 <= reply.status < 500, reply.body
    for line in (await bridge("GET", "/v1/log")).body.splitlines():
        json.loads(line)


async def test_405_names_the_methods(bridge: Bridge) -> None:
    assert (await bridge("POST", "/v1/health")).headers["Allow"] == "GET"
