from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from bridge.errors import DeviceOutOfMemory, OutputError
from bridge.imaging.codecs import decode
from bridge.imaging.image import Image
from bridge.jobs.chain import newest
from bridge.protocol.enhancement import EnhanceResult, ResultSummary
from bridge.protocol.frame import encode_frame
from bridge.protocol.picture import file_payload, icc_payload, pixels_payload
from bridge.server.enhance import AUDIT
from bridge.server.log import LOG
from bridge.server.requests import REQUESTS
from tests.server.conftest import FRAME, Bridge, Samples, Start

QUIET = {"denoise": 0, "sharpen": 0}
ID = "GPEN-Request-Id"


def pixels_in(reply: Any, name: str = "image") -> np.ndarray[Any, Any]:
    payload = next(payload for payload in reply.frame.header.payloads if payload.name == name)
    dtype = {"u8": "u1", "u16": "<u2", "f32": "<f4"}[payload.depth]
    shape = (payload.height, payload.width, payload.channels)
    return np.frombuffer(reply.frame.views[name], dtype).reshape(shape)


async def test_a_file_comes_back_as_a_file(bridge: Bridge, samples: Samples) -> None:
    reply = await bridge("POST", "/v1/enhance", data=samples.form({"preset": "phone", "params": QUIET}))
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] == "image/png"
    enhanced = decode(reply.body, max_megapixels=1)
    assert enhanced.pixels.shape == samples.image.pixels.shape
    assert (enhanced.pixels[40, 48] != samples.image.pixels[40, 48]).any()
    summary = ResultSummary.from_header(reply.headers["GPEN-Result"])
    assert (summary.found, summary.restored, summary.width, summary.height) == (1, 1, 96, 80)
    assert {"decode", "restore", "encode"} <= summary.seconds.keys()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
async def test_pixels_come_back_as_pixels(bridge: Bridge, dtype: Any, channels: int) -> None:
    scale = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = (np.random.default_rng(1).random((70, 90, channels)) * scale).astype(dtype)
    payload = pixels_payload("image", pixels)
    data = encode_frame("request", {"params": QUIET}, [payload])
    reply = await bridge("POST", "/v1/enhance", headers=FRAME, data=data)
    enhanced, mask = pixels_in(reply), pixels_in(reply, "mask")
    assert enhanced.dtype == dtype
    assert enhanced.shape == pixels.shape
    assert mask.shape == (70, 90, 1)
    outside = mask[..., 0] == 0
    assert outside.any()
    assert not outside.all()
    np.testing.assert_array_equal(enhanced[outside], pixels[outside])
    assert (enhanced[~outside] != pixels[~outside]).any()
    result = EnhanceResult.model_validate(reply.frame.header.message)
    assert result.faces[0].checkpoint == "fake"


async def test_with_everything_at_zero_nothing_changes(bridge: Bridge, samples: Samples) -> None:
    request = {"params": {"strength": 0, **QUIET}}
    reply = await bridge("POST", "/v1/enhance", headers=FRAME, data=samples.frame(request))
    np.testing.assert_array_equal(pixels_in(reply), samples.image.pixels)


async def test_a_file_in_a_frame_comes_back_in_a_frame(bridge: Bridge, samples: Samples) -> None:
    payload = file_payload("image", samples.png, "image/png")
    data = encode_frame("request", {"params": QUIET}, [payload])
    reply = await bridge("POST", "/v1/enhance", headers=FRAME, data=data)
    (image,) = [payload for payload in reply.frame.header.payloads if payload.name == "image"]
    assert (image.kind, image.media_type) == ("file", "image/png")
    enhanced = decode(bytes(reply.frame.views["image"]), max_megapixels=1).pixels
    outside = pixels_in(reply, "mask")[..., 0] == 0
    assert not outside.all()
    np.testing.assert_array_equal(enhanced[outside], samples.image.pixels[outside])


async def test_a_file_comes_back_as_pixels_when_asked(bridge: Bridge, samples: Samples) -> None:
    form = samples.form({"output": {"format": "frame"}, "params": {"strength": 0, **QUIET}})
    reply = await bridge("POST", "/v1/enhance", data=form)
    np.testing.assert_array_equal(pixels_in(reply), samples.image.pixels)


async def test_layers_compose_to_the_finished_picture(bridge: Bridge, samples: Samples) -> None:
    request = {"compose": "layers", "params": {"strength": 60, **QUIET}}
    layers = await bridge("POST", "/v1/enhance", headers=FRAME, data=samples.frame(request))
    finished = await bridge(
        "POST", "/v1/enhance", headers=FRAME, data=samples.frame({**request, "compose": "composite"})
    )
    opacity = layers.frame.header.message["opacity"]
    assert opacity == pytest.approx(0.6)
    weight = pixels_in(layers, "mask") / 255.0 * opacity
    composed = samples.image.pixels * (1 - weight) + pixels_in(layers) * weight
    assert np.abs(composed - pixels_in(finished)).max() <= 2


async def test_given_faces_skip_detection_and_carry_their_strength(bridge: Bridge, samples: Samples) -> None:
    found = await bridge("POST", "/v1/faces", headers=FRAME, data=samples.frame())
    faces = found.frame.header.message["faces"]
    looked = len(bridge.fakes.detector.calls)
    request = {"params": QUIET, "faces": [{**faces[0], "strength": 0}]}
    reply = await bridge("POST", "/v1/enhance", headers=FRAME, data=samples.frame(request))
    np.testing.assert_array_equal(pixels_in(reply), samples.image.pixels)
    assert len(bridge.fakes.detector.calls) == looked


async def test_presets_params_and_select_are_resolved_in_that_order(bridge: Bridge, samples: Samples) -> None:
    mine = {"parameters": {"strength": 10, "denoise": 0, "sharpen": 0, "select": "all"}}
    await bridge("PUT", "/v1/presets/mine", json=mine)
    request = {"preset": "mine", "params": {"strength": 20, "select": "all"}, "select": "largest"}
    reply = await bridge("POST", "/v1/enhance", headers=FRAME, data=samples.frame(request))
    used = reply.frame.header.message["parameters"]
    assert (used["strength"], used["denoise"], used["select"]) == (20, 0, "largest")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"preset": "nobody's"}, "invalid_request"),
        ({"preset": "nobody"}, "preset_unknown"),
        ({"params": {"strength": 101}}, "invalid_request"),
        ({"params": {"strenght": 10}}, "invalid_request"),
        ({"params": {"checkpoint": "nothing"}}, "checkpoint_unknown"),
        ({"select": [5]}, "invalid_request"),
        ({"compose": "layers"}, "invalid_request"),  # the default preset denoises
        ({"output": {"format": "tiff"}}, "invalid_request"),  # of raw pixels
        ({"faces": [{"box": [0, 0, 9, 9], "landmarks": [[1, 1]] * 5}]}, "landmarks_degenerate"),
        ({"faces": [{"box": [0, 0, 9, 9], "landmarks": [[1, 1]] * 4}]}, "invalid_request"),
        ({"faces": [{"box": [9, 0, 0, 9], "landmarks": [[1, 1]] * 5}]}, "invalid_request"),
    ],
)
async def test_what_cannot_be_done_is_named(
    bridge: Bridge, samples: Samples, request_: dict[str, Any], code: str
) -> None:
    reply = await bridge("POST", "/v1/enhance", headers=FRAME, data=samples.frame(request_))
    assert reply.code == code, reply.body
    assert (await bridge("GET", "/v1/health")).json["status"] == "ok"


async def test_bad_pictures_are_named(bridge: Bridge, samples: Samples) -> None:
    nan = Image(np.full((20, 20, 3), np.nan, np.float32))
    for data, code in [
        (samples.frame(image=nan), "pixels_unsupported"),
        (samples.frame(profile="No Such Profile"), "profile_unknown"),
        (samples.frame()[:-1], "frame_malformed"),
        (samples.frame() + b"!", "frame_malformed"),
        (samples.frame(width=97), "frame_malformed"),
        (b"", "frame_malformed"),
        (encode_frame("request", {}), "frame_malformed"),
        (encode_frame("result", {}, [pixels_payload("image", samples.image.pixels)]), "frame_malformed"),
        (
            encode_frame("request", {}, [file_payload("image", b"<svg/>", "image/svg+xml")]),
            "format_unsupported",
        ),
        (encode_frame("request", {}, [file_payload("image", b"", "image/png")]), None),
    ]:
        reply = await bridge("POST", "/v1/enhance", headers=FRAME, data=data)
        assert 400 <= reply.status < 500, reply.body
        assert code is None or reply.code == code, reply.body


async def test_two_profiles_are_a_contradiction(bridge: Bridge, samples: Samples) -> None:
    payload, view = pixels_payload("image", samples.image.pixels)
    named = payload.model_copy(update={"profile": "sRGB"})
    data = encode_frame("request", {}, [(named, view), icc_payload(b"...")])
    assert (await bridge("POST", "/v1/enhance", headers=FRAME, data=data)).code == "frame_malformed"


async def test_too_many_pixels_are_refused_from_the_header_alone(start: Start, samples: Samples) -> None:
    bridge = await start(max_megapixels=0.001)
    await bridge.ready()
    frame = samples.frame()
    reply = await bridge.begin("/v1/enhance", begun=frame[:300], length=len(frame))
    assert reply.code == "image_too_large"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "cannot be read"),
        (b"--x\r\nnonsense", "cannot be read"),
        (b"--x--\r\n", "missing"),
        (b'--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n{}\r\n--x--\r\n', "missing"),
        (b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\n{}\r\n--x--\r\n', "parts are"),
        (b'--x\r\nContent-Disposition: form-data; name="request"\r\n\r\n{\r\n--x--\r\n', "missing"),
        (b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--x--\r\n", "itself"),
    ],
)
async def test_malformed_multipart_is_named(bridge: Bridge, body: bytes, why: str) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    reply = await bridge("POST", "/v1/enhance", headers=headers, data=body)
    assert reply.code == "invalid_request"
    assert why in reply.json["detail"]


async def test_multipart_without_a_boundary_is_named(bridge: Bridge) -> None:
    reply = await bridge("POST", "/v1/enhance", headers={"Content-Type": "multipart/form-data"}, data=b"x")
    assert reply.code == "invalid_request"


async def test_over_the_limit_is_busy_before_the_body_is_read(start: Start, samples: Samples) -> None:
    bridge = await start(max_requests=1)
    await bridge.ready()
    bridge.fakes.engine.gate.clear()
    first = asyncio.create_task(bridge("POST", "/v1/enhance", data=samples.form()))
    await asyncio.to_thread(bridge.fakes.engine.entered.acquire)

    refused = await bridge.begin("/v1/enhance")
    assert refused.code == "busy"
    assert int(refused.headers["Retry-After"]) > 0
    bridge.fakes.engine.gate.set()
    assert (await first).status == 200
    assert (await bridge("POST", "/v1/enhance", data=samples.form())).status == 200


async def test_before_the_self_test_it_is_not_ready(start: Start, samples: Samples) -> None:
    bridge = await start()
    bridge.fakes.hold.clear()
    waiting = await start(bridge.fakes)
    refused = await waiting("POST", "/v1/enhance", data=samples.form())
    assert (refused.code, refused.json["retryable"]) == ("not_ready", True)
    bridge.fakes.hold.set()
    await waiting.ready()
    assert (await waiting("POST", "/v1/enhance", data=samples.form())).status == 200


async def test_cancel_stops_the_work(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.gate.clear()
    request_id = str(uuid.uuid4())
    work = asyncio.create_task(
        bridge("POST", "/v1/enhance", headers={ID: request_id.upper()}, data=samples.form())
    )
    await asyncio.to_thread(bridge.fakes.engine.entered.acquire)
    again = await bridge("POST", "/v1/enhance", headers={ID: request_id}, data=samples.form())
    assert again.code == "request_id_in_use"
    began = time.monotonic()
    assert (await bridge("POST", f"/v1/requests/{request_id}/cancel")).json == {"cancelled": True}
    stopped = await work
    assert (stopped.status, stopped.code) == (499, "cancelled")
    assert time.monotonic() - began < 1.0
    assert (await bridge("POST", f"/v1/requests/{request_id}/cancel")).code == "request_unknown"


async def test_cancel_does_not_wait_for_work_that_does_not_look_up(start: Start, samples: Samples) -> None:
    bridge = await start(max_requests=1)
    await bridge.ready()
    bridge.fakes.engine.gate.clear()
    bridge.fakes.engine.deaf = True
    request_id = str(uuid.uuid4())
    work = asyncio.create_task(bridge("POST", "/v1/enhance", headers={ID: request_id}, data=samples.form()))
    await asyncio.to_thread(bridge.fakes.engine.entered.acquire)
    await bridge("POST", f"/v1/requests/{request_id}/cancel")
    async with asyncio.timeout(10):  # the gate stays closed: whoever waits for the work waits for ever
        assert (await work).code == "cancelled"
    # Its thread is still busy, and so is its slot.
    assert (await bridge("POST", "/v1/enhance", data=samples.form())).code == "busy"
    bridge.fakes.engine.gate.set()
    async with asyncio.timeout(10):
        while bridge.app[REQUESTS].in_flight:
            await asyncio.sleep(0.01)
    assert (await bridge("POST", "/v1/enhance", data=samples.form())).status == 200


async def test_a_request_can_be_cancelled_while_its_body_comes(bridge: Bridge, samples: Samples) -> None:
    body, request_id, sent = samples.frame(), str(uuid.uuid4()), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:200]
        await sent.wait()
        yield body[200:]

    work = asyncio.create_task(
        bridge("POST", "/v1/enhance", headers={**FRAME, ID: request_id}, data=slowly())
    )
    async with asyncio.timeout(10):
        while not bridge.app[REQUESTS].in_flight:
            await asyncio.sleep(0.01)
    assert (await bridge("POST", f"/v1/requests/{request_id}/cancel")).status == 200
    sent.set()
    assert (await work).code == "cancelled"
    assert bridge.fakes.detector.calls == []


async def test_a_disconnect_stops_the_work(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.gate.clear()
    work = asyncio.create_task(bridge("POST", "/v1/enhance", data=samples.form()))
    await asyncio.to_thread(bridge.fakes.engine.entered.acquire)
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    async with asyncio.timeout(1.0):
        while bridge.app[REQUESTS].in_flight:
            await asyncio.sleep(0.01)
    assert bridge.fakes.engine.cancels == 1
    assert (await bridge("GET", "/v1/stats")).json["images"] == {"cancelled": 1}


async def test_health_answers_while_pictures_are_worked_on(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.gate.clear()
    work = [asyncio.create_task(bridge("POST", "/v1/enhance", data=samples.form())) for _ in range(3)]
    for _ in work:
        await asyncio.to_thread(bridge.fakes.engine.entered.acquire)
    async with asyncio.timeout(10):  # the gate is closed: a loop that waits for it answers nobody
        for _ in range(20):
            assert (await bridge("GET", "/v1/health")).status == 200
    bridge.fakes.engine.gate.set()
    assert {reply.status for reply in await asyncio.gather(*work)} == {200}


async def test_engine_failures_are_named_and_survived(bridge: Bridge, samples: Samples) -> None:
    bridge.fakes.engine.failure = DeviceOutOfMemory("The GPU has 3 MB left.")
    reply = await bridge("POST", "/v1/enhance", data=samples.form())
    assert (reply.status, reply.code, reply.json["retryable"]) == (503, "out_of_memory", True)
    bridge.fakes.engine.failure = None
    assert (await bridge("POST", "/v1/enhance", data=samples.form())).status == 200
    stats = (await bridge("GET", "/v1/stats")).json
    assert stats["images"] == {"out_of_memory": 1, "done": 1}
    assert stats["faces"] == 1
    assert stats["stages"]["restore"]["count"] == 1


async def test_each_picture_has_its_line_in_the_audit_log_whatever_became_of_it(
    bridge: Bridge, samples: Samples
) -> None:
    bridge.fakes.engine.failure = DeviceOutOfMemory("The GPU has 3 MB left.")
    await bridge("POST", "/v1/enhance", data=samples.form())
    bridge.fakes.engine.failure = None
    await bridge("POST", "/v1/enhance", data=samples.form({"preset": "phone"}))
    bridge.fakes.engine.gate.clear()
    request_id = str(uuid.uuid4())
    work = asyncio.create_task(bridge("POST", "/v1/enhance", headers={ID: request_id}, data=samples.form()))
    await asyncio.to_thread(bridge.fakes.engine.entered.acquire)
    await bridge("POST", f"/v1/requests/{request_id}/cancel")
    await work
    lines = newest(bridge.places.data / "audit", 10)
    assert [line["outcome"] for line in lines] == ["out_of_memory", "done", "cancelled"]
    assert [line["restored"] for line in lines] == [0, 1, 0]
    assert [line["preset"] for line in lines] == ["default", "phone", "default"]
    assert {(line["client"], line["source"]) for line in lines} == {("owner", "photo.png")}
    assert lines[-1]["key"] == request_id


async def test_a_request_id_must_be_a_uuid(bridge: Bridge, samples: Samples) -> None:
    reply = await bridge("POST", "/v1/enhance", headers={ID: "../../etc"}, data=samples.form())
    assert reply.code == "invalid_request"


async def test_the_answer_names_its_request(bridge: Bridge, samples: Samples) -> None:
    ids = [(await bridge("POST", "/v1/faces", data=samples.form())).headers[ID] for _ in range(2)]
    assert all(uuid.UUID(one) for one in ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("failure", [OutputError("The disk is full."), KeyError("number")])
async def test_an_audit_that_fails_takes_no_picture(
    bridge: Bridge, samples: Samples, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fails(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(bridge.app[AUDIT], "record", fails)
    reply = await bridge("POST", "/v1/enhance", data=samples.form())
    assert (reply.status, reply.headers["Content-Type"]) == (200, "image/png")
    assert b"not audited" in bridge.app[LOG].tail(10)
