from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge import atomic
from bridge.errors import DeviceOutOfMemory, EngineError, ImageError
from bridge.imaging.codecs import decode
from bridge.imaging.image import Image
from bridge.imaging.preview import preview
from bridge.protocol import frame as frames
from bridge.server.app import ROUTES
from bridge.server.openapi import document
from tests.server.conftest import Bridge, Samples, Start

QUIET = {"denoise": 0, "sharpen": 0}
BYTES = {"Content-Type": "application/octet-stream"}


async def upload(bridge: Bridge, data: bytes, name: str = "anna.png") -> str:
    reply = await bridge("POST", "/v1/uploads", data=data, headers={**BYTES, "GPEN-File-Name": name})
    assert reply.status == 201, reply.body
    assert reply.json["sha256"] == hashlib.sha256(data).hexdigest()
    return str(reply.json["upload"])


async def submit(bridge: Bridge, sources: list[dict[str, str]], **more: Any) -> str:
    items = [{"ref": f"photo-{number}", "source": source} for number, source in enumerate(sources)]
    content = {"client": "tests", "params": QUIET, "items": items, **more}
    reply = await bridge("POST", "/v1/jobs", json=content)
    assert reply.status == 202, reply.body
    return str(reply.json["job"])


async def until(
    bridge: Bridge,
    job: str,
    reached: Callable[[dict[str, Any]], bool] = lambda job: job["state"] == "finished",
) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            told: dict[str, Any] = (await bridge("GET", f"/v1/jobs/{job}")).json
            if reached(told):
                return told
            await asyncio.sleep(0.02)


async def item(bridge: Bridge, job: str, number: int = 0) -> dict[str, Any]:
    told: dict[str, Any] = (await bridge("GET", f"/v1/jobs/{job}/items/{number}")).json
    return told


async def test_from_upload_to_result(bridge: Bridge, samples: Samples) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    told = await until(bridge, job)
    assert told["counts"]["done"] == told["counts"]["unreviewed"] == 1
    done = await item(bridge, job)
    assert done["state"] == "done"
    assert done["attempts"] == 1
    assert {"read", "decode", "restore", "encode"} <= done["seconds"].keys()
    assert done["faces"][0]["checkpoint"] == "fake"
    assert done["result"]["name"] == "anna-GPEN.png"
    result = await bridge("GET", f"/v1/jobs/{job}/items/0/result")
    assert result.headers["Content-Type"] == "image/png"
    assert hashlib.sha256(result.body).hexdigest() == done["result"]["sha256"]
    assert Path(done["result"]["path"]).read_bytes() == result.body
    assert (await item(bridge, job))["fetched_at"]
    acked = await bridge("POST", f"/v1/jobs/{job}/items/0/ack")
    assert acked.json["acked_at"]
    assert (await bridge("POST", f"/v1/jobs/{job}/items/0/ack")).json["acked_at"] == acked.json["acked_at"]


async def test_a_job_and_a_request_give_the_same_bytes(bridge: Bridge, samples: Samples) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}], preset="phone")
    await until(bridge, job)
    by_job = await bridge("GET", f"/v1/jobs/{job}/items/0/result")
    by_request = await bridge("POST", "/v1/enhance", data=samples.form({"preset": "phone", "params": QUIET}))
    assert by_job.body == by_request.body


async def test_by_path_in_the_exchange_folder(bridge: Bridge, samples: Samples) -> None:
    (bridge.places.exchange / "run").mkdir()
    (bridge.places.exchange / "run" / "bea.png").write_bytes(samples.png)
    output = {"format": "tiff", "depth": 16, "template": "{client}/{date}/{stem}-{preset}-{counter}"}
    job = await submit(bridge, [{"path": "run/bea.png"}], output=output)
    await until(bridge, job)
    result = (await item(bridge, job))["result"]
    folder, date, name = result["name"].split("/")
    assert (folder, name) == ("tests", "bea-default-0001.tif")
    assert date == (await bridge("GET", f"/v1/jobs/{job}")).json["created_at"][:10]
    assert decode(Path(result["path"]).read_bytes(), max_megapixels=1).pixels.dtype == "uint16"
    assert (bridge.places.exchange / "run" / "bea.png").read_bytes() == samples.png


@pytest.mark.parametrize(
    "path",
    [
        "../secret.png",
        "/etc/passwd",
        "run/../../x",
        "C:/x.png",
        "a\\b.png",
        "x.png:stream",
        "",
        "a//b",
        "a/./b",
    ],
)
async def test_paths_that_lead_out_are_refused(bridge: Bridge, samples: Samples, path: str) -> None:
    (bridge.places.data / "secret.png").write_bytes(samples.png)
    items = [{"ref": "x", "source": {"path": path}}]
    reply = await bridge("POST", "/v1/jobs", json={"items": items})
    assert reply.code in ("path_refused", "invalid_request")


async def test_links_that_lead_out_are_refused(bridge: Bridge, samples: Samples) -> None:
    (bridge.places.data / "secret.png").write_bytes(samples.png)
    (bridge.places.exchange / "link.png").symlink_to(bridge.places.data / "secret.png")
    items = [{"ref": "x", "source": {"path": "link.png"}}]
    assert (await bridge("POST", "/v1/jobs", json={"items": items})).code == "path_refused"


async def test_a_bad_photo_fails_at_once_and_the_others_go_on(bridge: Bridge, samples: Samples) -> None:
    sources = [
        {"upload": await upload(bridge, data)} for data in (samples.png, b"\xff\xd8\xff\xe0", samples.png)
    ]
    job = await submit(bridge, sources)
    told = await until(bridge, job)
    assert (told["counts"]["done"], told["counts"]["failed"]) == (2, 1)
    failed = (await bridge("GET", f"/v1/jobs/{job}/items?state=failed")).json["items"]
    assert [one["item"] for one in failed] == [1]
    assert failed[0]["attempts"] == 1
    assert failed[0]["error"]["code"].startswith("image_")
    assert failed[0]["error"]["hint"]
    names = [(await item(bridge, job, number))["result"]["name"] for number in (0, 2)]
    assert sorted(names) == ["anna-GPEN-2.png", "anna-GPEN.png"]


@pytest.mark.parametrize("error", [EngineError, DeviceOutOfMemory])
async def test_what_may_heal_is_tried_three_times(start: Start, samples: Samples, error: Any) -> None:
    bridge = await start(retry_seconds=0.01)
    await bridge.ready()
    bridge.fakes.engine.failure = error("for a test")
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    failed = await item(bridge, job)
    assert (failed["state"], failed["attempts"], failed["error"]["code"]) == ("failed", 3, error.code)
    bridge.fakes.engine.failure = None
    reply = await bridge("POST", f"/v1/jobs/{job}/retry", json={"params": {"strength": 11}})
    assert reply.status == 200, reply.body
    await until(bridge, job, lambda told: told["counts"]["done"] == 1)
    done = await item(bridge, job)
    assert (done["attempts"], done["parameters"]["strength"]) == (1, 11)
    assert "error" not in done


async def test_the_same_submission_again_gives_the_same_job(bridge: Bridge, samples: Samples) -> None:
    content = {"items": [{"ref": "a", "source": {"upload": await upload(bridge, samples.png)}}]}
    key = {"Idempotency-Key": "night-batch-1"}
    first = await bridge("POST", "/v1/jobs", json=content, headers=key)
    again = await bridge("POST", "/v1/jobs", json=content, headers=key)
    assert first.json["job"] == again.json["job"]
    assert (await bridge("POST", "/v1/jobs", json=content)).json["job"] != first.json["job"]
    other = {**content, "name": "another"}
    assert (await bridge("POST", "/v1/jobs", json=other, headers=key)).code == "idempotency_conflict"


async def test_items_can_be_added_and_added_again(bridge: Bridge, samples: Samples) -> None:
    first, second = [await upload(bridge, samples.png) for _ in range(2)]
    job = await submit(bridge, [{"upload": first}])
    await until(bridge, job)
    more = {
        "items": [{"ref": "photo-0", "source": {"upload": first}}, {"ref": "b", "source": {"upload": second}}]
    }
    for _ in range(2):
        reply = await bridge("POST", f"/v1/jobs/{job}/items", json=more)
        assert (reply.status, reply.json["counts"]["total"]) == (202, 2)
    assert (await until(bridge, job))["counts"]["done"] == 2


async def test_cancel_stops_what_runs_and_drops_the_rest(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.gate.clear()
    source = {"upload": await upload(bridge, samples.png)}
    job = await submit(bridge, [source] * 6)
    await until(bridge, job, lambda told: told["counts"]["leased"] >= 1)
    await asyncio.to_thread(bridge.fakes.engine.entered.acquire)
    reply = await bridge("POST", f"/v1/jobs/{job}/cancel")
    assert reply.json["state"] == "cancelled"
    assert reply.json["counts"]["cancelled"] == 6
    assert not [path for path in bridge.places.outputs.rglob("*") if path.is_file()]
    bridge.fakes.engine.gate.set()
    await bridge("POST", f"/v1/jobs/{job}/retry", json={"states": ["cancelled"]})
    assert (await until(bridge, job))["counts"]["done"] == 6


async def test_one_item_is_cancelled_and_the_others_finish(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.gate.clear()
    source = {"upload": await upload(bridge, samples.png)}
    job = await submit(bridge, [source] * 5)
    await until(bridge, job, lambda told: told["counts"]["leased"] >= 1)
    assert (await bridge("POST", f"/v1/jobs/{job}/items/0/cancel")).json["state"] == "cancelled"
    assert (await bridge("POST", f"/v1/jobs/{job}/items/4/cancel")).json["state"] == "cancelled"
    bridge.fakes.engine.gate.set()
    told = await until(bridge, job)
    assert (told["counts"]["done"], told["counts"]["cancelled"]) == (3, 2)


async def test_pause_and_resume(start: Start, samples: Samples) -> None:
    bridge = await start(job_workers=1)
    await bridge.ready()
    bridge.fakes.engine.gate.clear()
    source = {"upload": await upload(bridge, samples.png)}
    job = await submit(bridge, [source] * 3)
    await until(bridge, job, lambda told: told["counts"]["leased"] == 1)
    assert (await bridge("POST", f"/v1/jobs/{job}/pause")).json["state"] == "paused"
    bridge.fakes.engine.gate.set()
    await until(bridge, job, lambda told: told["counts"]["done"] == 1)
    await asyncio.sleep(0.1)
    told = (await bridge("GET", f"/v1/jobs/{job}")).json
    assert (told["state"], told["counts"]["queued"]) == ("paused", 2)
    assert (await bridge("POST", f"/v1/jobs/{job}/items/1/pause")).json["paused"]
    await bridge("POST", f"/v1/jobs/{job}/resume")
    told = await until(bridge, job, lambda told: told["counts"]["done"] == 2)
    assert (told["state"], told["counts"]["paused"]) == ("paused", 1)
    await bridge("POST", f"/v1/jobs/{job}/items/1/resume")
    assert (await until(bridge, job))["counts"]["done"] == 3


async def test_interactive_passes_a_batch(start: Start, samples: Samples) -> None:
    bridge = await start(job_workers=1)
    await bridge.ready()
    bridge.fakes.engine.gate.clear()
    source = {"upload": await upload(bridge, samples.png)}
    batch = await submit(bridge, [source] * 4)
    await until(bridge, batch, lambda told: told["counts"]["leased"] == 1)
    urgent = await submit(bridge, [source], priority="interactive")
    # The worker for batches is held by the gate; this one has a worker of its own.
    await until(bridge, urgent, lambda told: told["counts"]["leased"] == 1)
    bridge.fakes.engine.gate.set()
    await until(bridge, urgent)
    await until(bridge, batch)


async def test_pages(bridge: Bridge, samples: Samples) -> None:
    source = {"upload": await upload(bridge, samples.png)}
    job = await submit(bridge, [source] * 7)
    await until(bridge, job)
    seen: list[int] = []
    after = ""
    while True:
        page = (await bridge("GET", f"/v1/jobs/{job}/items?limit=3{after}")).json
        seen += [one["item"] for one in page["items"]]
        if "next" not in page:
            break
        after = f"&after={page['next']}"
    assert seen == list(range(7))
    other = await submit(bridge, [source])
    listed = (await bridge("GET", "/v1/jobs?limit=1")).json
    assert [one["job"] for one in listed["jobs"]] == [other]
    rest = (await bridge("GET", f"/v1/jobs?limit=1&after={listed['next']}")).json
    assert [one["job"] for one in rest["jobs"]] == [job]
    for wrong in ("limt=5", "limit=0", "limit=501", "limit=x", "after=-1", "state=asleep", "review=maybe"):
        assert (await bridge("GET", f"/v1/jobs/{job}/items?{wrong}")).code == "invalid_request"


async def test_a_frame_comes_back_as_a_frame(bridge: Bridge, samples: Samples) -> None:
    framed = samples.frame()
    sent = await bridge("POST", "/v1/uploads", data=framed, headers={"Content-Type": frames.MEDIA_TYPE})
    items = [{"ref": "layer", "source": {"upload": sent.json["upload"]}, "compose": "layers"}]
    reply = await bridge("POST", "/v1/jobs", json={"params": {"strength": 60, **QUIET}, "items": items})
    await until(bridge, reply.json["job"])
    by_job = await bridge("GET", f"/v1/jobs/{reply.json['job']}/items/0/result")
    request = {"params": {"strength": 60, **QUIET}, "compose": "layers"}
    by_request = await bridge(
        "POST", "/v1/enhance", headers={"Content-Type": frames.MEDIA_TYPE}, data=samples.frame(request)
    )
    assert by_job.frame.header.payloads == by_request.frame.header.payloads
    assert by_job.frame.views["image"] == by_request.frame.views["image"]
    assert by_job.frame.header.message["opacity"] == 0.6
    preview = await bridge("GET", f"/v1/jobs/{reply.json['job']}/items/0/preview?size=64")
    assert preview.headers["Content-Type"] == "image/jpeg"


async def test_a_preview_is_shown_also_when_there_is_no_room_to_keep_it(
    bridge: Bridge, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(atomic.os, "fsync", refuse)
        reply = await bridge("GET", f"/v1/jobs/{job}/items/0/preview?size=64")
    assert (reply.status, decode(reply.body, max_megapixels=1).width) == (200, 64)
    assert list(bridge.places.previews.iterdir()) == []
    assert (await bridge("GET", f"/v1/jobs/{job}/items/0/preview?size=64")).body == reply.body
    assert len(list(bridge.places.previews.iterdir())) == 1


async def test_previews(bridge: Bridge, samples: Samples) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    sizes = []
    for query in ("size=64", "size=64&of=source", "", "size=64"):
        reply = await bridge("GET", f"/v1/jobs/{job}/items/0/preview?{query}")
        assert reply.headers["Content-Type"] == "image/jpeg"
        image = decode(reply.body, max_megapixels=1)
        sizes.append((image.width, image.height))
    assert sizes == [(64, 53), (64, 53), (96, 80), (64, 53)]
    assert (await bridge("GET", f"/v1/jobs/{job}/items/0/preview?size=1")).code == "invalid_request"


async def test_a_preview_of_a_damaged_row_says_so(bridge: Bridge, samples: Samples) -> None:
    job = await done(bridge, samples)
    with closing(sqlite3.connect(bridge.places.store)) as store, store:
        store.execute("UPDATE items SET result = '{' WHERE job = ?", (job,))
    reply = await bridge("GET", f"/v1/jobs/{job}/items/0/preview?size=64")
    assert (reply.status, reply.code) == (503, "store_unavailable")
    assert "damaged" in reply.json["detail"]


class SlowPreviews:
    """Previews take until the gate is opened; `made` has their sizes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[int] = []
        self.gate = threading.Event()
        monkeypatch.setattr("bridge.jobs.previews.preview", self._preview)

    def _preview(self, image: Image, size: int) -> bytes:
        self.made.append(size)
        assert self.gate.wait(20)
        return preview(image, size)

    async def begun(self) -> None:
        async with asyncio.timeout(10):
            while not self.made:
                await asyncio.sleep(0.01)


async def done(bridge: Bridge, samples: Samples) -> str:
    """A job of one finished photo."""
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    return job


async def test_previews_that_are_made_hold_up_nothing_else(
    bridge: Bridge, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await done(bridge, samples)
    address = f"/v1/jobs/{job}/items/0/preview"
    kept = await bridge("GET", f"{address}?size=64")
    slow = SlowPreviews(monkeypatch)
    waiting = [asyncio.create_task(bridge("GET", f"{address}?size={size}")) for size in range(100, 140)]
    try:
        await slow.begun()
        await asyncio.sleep(0.2)  # more of them are there than the bridge has threads
        async with asyncio.timeout(10):
            assert (await bridge("GET", f"{address}?size=64")).body == kept.body
            assert (await bridge("GET", f"/v1/jobs/{job}")).status == 200
        assert len(slow.made) == 1
    finally:
        slow.gate.set()
    assert {reply.status for reply in await asyncio.gather(*waiting)} == {200}
    assert sorted(slow.made) == list(range(100, 140))


async def test_who_goes_away_gives_up_its_place_in_the_line_for_previews(
    bridge: Bridge, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await done(bridge, samples)
    address = f"/v1/jobs/{job}/items/0/preview"
    slow = SlowPreviews(monkeypatch)
    first = asyncio.create_task(bridge("GET", f"{address}?size=100"))
    await slow.begun()
    gone = asyncio.create_task(bridge("GET", f"{address}?size=101"))
    await asyncio.sleep(0.3)
    gone.cancel()
    await asyncio.sleep(0.3)
    slow.gate.set()
    await first
    assert (await bridge("GET", f"{address}?size=102")).status == 200
    assert slow.made == [100, 102]


async def test_the_thread_of_the_previews_ends_with_the_bridge(bridge: Bridge, samples: Samples) -> None:
    def threads() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("preview")]

    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    await bridge("GET", f"/v1/jobs/{job}/items/0/preview?size=64")
    assert len(threads()) == 1
    await bridge.stop()
    assert threads() == []


async def test_a_result_that_was_moved_away_is_gone(bridge: Bridge, samples: Samples) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    Path((await item(bridge, job))["result"]["path"]).unlink()
    assert (await bridge("GET", f"/v1/jobs/{job}/items/0/result")).code == "result_gone"


async def test_what_is_not_there_is_named(bridge: Bridge, samples: Samples) -> None:
    assert (await bridge("GET", "/v1/jobs/none")).code == "job_unknown"
    assert (await bridge("POST", "/v1/jobs/none/cancel")).code == "job_unknown"
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    assert (await bridge("GET", f"/v1/jobs/{job}/items/1")).code == "item_unknown"
    assert (await bridge("GET", f"/v1/jobs/{job}/items/x")).code == "item_unknown"
    for template in ("../{stem}", "{nobody}", "/abs", "a//b", "{stem:>9}", "{"):
        content = {"items": [{"ref": "a", "source": {"path": "x"}}], "output": {"template": template}}
        (bridge.places.exchange / "x").write_bytes(samples.png)
        assert (await bridge("POST", "/v1/jobs", json=content)).code == "invalid_request", template
    twice = [{"ref": "a", "source": {"path": "x"}}] * 2
    assert (await bridge("POST", "/v1/jobs", json={"items": twice})).code == "invalid_request"
    missing = [{"ref": "a", "source": {"path": "nowhere.png"}}]
    assert (await bridge("POST", "/v1/jobs", json={"items": missing})).code == "source_missing"
    unknown = [{"ref": "a", "source": {"upload": "none"}}]
    assert (await bridge("POST", "/v1/jobs", json={"items": unknown})).code == "upload_unknown"
    assert (
        await bridge("POST", "/v1/jobs", json={"preset": "nobody", "items": missing})
    ).code == "preset_unknown"


async def test_on_clash(bridge: Bridge, samples: Samples) -> None:
    source = {"upload": await upload(bridge, samples.png)}
    names = []
    for clash in ("number", "replace_own", "fail"):
        job = await submit(bridge, [source], output={"on_clash": clash})
        await until(bridge, job)
        told = await item(bridge, job)
        names.append(told["result"]["name"] if told["state"] == "done" else told["error"]["code"])
    assert names == ["anna-GPEN.png", "anna-GPEN.png", "output_exists"]
    first = (await bridge("GET", "/v1/jobs")).json["jobs"][-1]["job"]
    assert not (await item(bridge, first))["result"]["available"]
    (bridge.places.outputs / "anna-GPEN.png").write_bytes(b"edited by hand")
    job = await submit(bridge, [source], output={"on_clash": "replace_own"})
    await until(bridge, job)
    assert (await item(bridge, job))["result"]["name"] == "anna-GPEN-2.png"
    assert (bridge.places.outputs / "anna-GPEN.png").read_bytes() == b"edited by hand"


async def test_answers_are_as_openapi_says(bridge: Bridge, samples: Samples) -> None:
    told = document(ROUTES)
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    for path in (
        "/v1/jobs",
        "/v1/jobs/{job}",
        "/v1/jobs/{job}/items",
        "/v1/jobs/{job}/items/{item}",
        "/v1/reviews",
    ):
        operation = told["paths"][path]["get"]["responses"]["200"]
        schema = operation["content"]["application/json"]["schema"]
        content = (await bridge("GET", path.format(job=job, item=0))).json
        jsonschema.validate(content, {**schema, "components": told["components"]})


async def test_an_image_error_is_not_tried_again(start: Start, samples: Samples) -> None:
    bridge = await start(retry_seconds=0.01)
    await bridge.ready()
    bridge.fakes.engine.failure = ImageError("for a test")  # type: ignore[assignment]
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}])
    await until(bridge, job)
    assert (await item(bridge, job))["attempts"] == 1
