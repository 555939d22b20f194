"""What the bridge gives out is a picture to save, never a page to show; and it fetches nothing for anybody.

Lines 10 and 13 of the security checklist.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from tests.server.conftest import FRAME, Bridge, Samples
from tests.server.test_jobs import item, submit, until, upload

PAGES = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "html": b"<!doctype html><script>alert(1)</script>",
    "xml": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    "pdf": b"%PDF-1.7\n1 0 obj <</OpenAction <</S /JavaScript>>>>",
    "gif": b"GIF89a\x01\x00\x01\x00/*<script>*/",
}


@pytest.mark.parametrize("kind", PAGES)
async def test_what_is_no_photo_is_never_served(bridge: Bridge, kind: str) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, PAGES[kind], f"photo.{kind}")}])
    assert (await until(bridge, job))["counts"]["failed"] == 1
    for tail in ("result", "preview", "preview?of=source"):
        told = await bridge("GET", f"/v1/jobs/{job}/items/0/{tail}")
        assert told.status >= 400
        assert PAGES[kind] not in told.body
        assert told.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    "name",
    ['a".html', "a\r\nX-Evil: 1", "a;b.svg", "<img src=x>.html", "照片.html", "a%0d%0aX-Evil: 1", "x" * 300],
)
async def test_a_result_is_a_picture_to_save_whatever_it_is_called(
    bridge: Bridge, samples: Samples, name: str
) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png, quote(name))}])
    await until(bridge, job)
    told = await bridge("GET", f"/v1/jobs/{job}/items/0/result")
    assert told.status == 200
    assert told.headers["Content-Type"] == "image/png"
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    assert "X-Evil" not in told.headers
    disposition = told.headers["Content-Disposition"]
    assert disposition.startswith("attachment; filename*=UTF-8''")
    assert disposition.isascii()
    assert not set(disposition.removeprefix("attachment; filename*=UTF-8''")) & set(" \"';<>\\/\r\n")
    assert disposition.endswith("-GPEN.png")
    assert (await item(bridge, job))["result"]["media_type"] == "image/png"


@contextmanager
def listening() -> Iterator[tuple[str, list[int]]]:
    """An address on which somebody waits to be called, and how often that happened."""
    calls: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                calls.append(1)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/x.png", calls
        finally:
            stop.set()
            thread.join()


async def test_no_address_is_fetched_for_a_client(bridge: Bridge, samples: Samples) -> None:
    with listening() as (url, calls):
        xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!DOCTYPE x SYSTEM "{url}"></x:xmpmeta>'
        questions = [
            ("POST", "/v1/jobs", {"items": [{"ref": "a", "source": {"path": url}}]}),
            ("POST", "/v1/jobs", {"items": [{"ref": "a", "source": {"url": url}}]}),
            ("POST", "/v1/jobs", {"items": [{"ref": "a", "source": {"upload": url}}]}),
            ("POST", "/v1/checkpoints", {"download": url, "accept_licence": True}),
            ("POST", "/v1/checkpoints", {"file": url, "accept_licence": True}),
            ("POST", "/v1/checkpoints", {"download": "gpen-bfr-512", "url": url, "accept_licence": True}),
            ("PUT", "/v1/presets/x", {"parameters": {"checkpoint": url}}),
        ]
        for method, path, body in questions:
            told = await bridge(method, path, json=body)
            assert 400 <= told.status < 500 or path.startswith("/v1/presets"), (path, body, told.body)
        told = await bridge("POST", "/v1/faces", data=samples.frame({}, profile=url), headers=FRAME)
        assert told.code in ("profile_unknown", "frame_malformed", "invalid_request")
        await bridge("POST", "/v1/faces", data=samples.form({"xmp": xmp}))
        assert calls == []
