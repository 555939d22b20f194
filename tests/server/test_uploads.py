from __future__ import annotations

import hashlib
from typing import Any

import aiohttp
import pytest

from tests.server.conftest import Bridge, Samples

BYTES = {"Content-Type": "application/octet-stream"}


async def test_pieces_resume_where_they_broke_off(bridge: Bridge, samples: Samples) -> None:
    size = len(samples.png)
    headers = {**BYTES, "Upload-Length": str(size), "GPEN-File-Name": "Li%20%26%20%E9%99%88.png"}
    begun = await bridge("POST", "/v1/uploads", headers=headers)
    assert (begun.status, begun.json["complete"], begun.json["name"]) == (201, False, "Li & 陈.png")
    path = f"/v1/uploads/{begun.json['upload']}"
    first = await bridge("PATCH", path, headers={**BYTES, "Upload-Offset": "0"}, data=samples.png[:1000])
    assert (first.json["offset"], first.json["complete"]) == (1000, False)
    for wrong in (0, 999, 1001):
        again = await bridge("PATCH", path, headers={**BYTES, "Upload-Offset": str(wrong)}, data=b"x")
        assert again.code == "upload_offset_conflict"
    items = [{"ref": "a", "source": {"upload": begun.json["upload"]}}]
    assert (await bridge("POST", "/v1/jobs", json={"items": items})).code == "upload_incomplete"
    assert (await bridge("GET", path)).json["offset"] == 1000
    rest = await bridge("PATCH", path, headers={**BYTES, "Upload-Offset": "1000"}, data=samples.png[1000:])
    assert rest.json["complete"]
    assert rest.json["sha256"] == hashlib.sha256(samples.png).hexdigest()
    more = await bridge("PATCH", path, headers={**BYTES, "Upload-Offset": str(size)}, data=b"x")
    assert more.code == "upload_offset_conflict"


async def test_a_form_with_one_file(bridge: Bridge, samples: Samples) -> None:
    form = aiohttp.FormData()
    form.add_field("file", samples.png, filename="anna.png", content_type="image/png")
    reply = await bridge("POST", "/v1/uploads", data=form)
    assert (reply.status, reply.json["complete"], reply.json["name"]) == (201, True, "anna.png")
    form = aiohttp.FormData()
    form.add_field("image", samples.png, filename="anna.png")
    assert (await bridge("POST", "/v1/uploads", data=form)).code == "invalid_request"
    assert len(list(bridge.places.uploads.iterdir())) == 1


@pytest.mark.parametrize("chunked", [False, True])
async def test_too_large_is_refused_and_leaves_nothing(start: Any, chunked: bool) -> None:
    bridge = await start(max_upload_bytes=5000)

    async def in_chunks() -> Any:
        for _ in range(20):
            yield b"x" * 500

    data = in_chunks() if chunked else b"x" * 10_000
    assert (await bridge("POST", "/v1/uploads", headers=BYTES, data=data)).code == "body_too_large"
    announced = {**BYTES, "Upload-Length": "6000"}
    assert (await bridge("POST", "/v1/uploads", headers=announced)).code == "body_too_large"
    assert not list(bridge.places.uploads.iterdir())


async def test_a_full_disk_is_said_before_anything_is_read(start: Any, samples: Samples) -> None:
    bridge = await start(min_free_bytes=2**60)
    reply = await bridge("POST", "/v1/uploads", headers=BYTES, data=samples.png)
    assert (reply.status, reply.code) == (507, "disk_low")


async def test_who_knows_nothing_learns_nothing(bridge: Bridge) -> None:
    assert (await bridge("GET", "/v1/uploads/none")).code == "upload_unknown"
    headers = {**BYTES, "Upload-Offset": "0"}
    assert (
        await bridge("PATCH", "/v1/uploads/..%2F..%2Fx", headers=headers, data=b"x")
    ).code == "upload_unknown"
    assert (
        await bridge("POST", "/v1/uploads", headers={**BYTES, "Upload-Length": "-1"})
    ).code == "invalid_request"
