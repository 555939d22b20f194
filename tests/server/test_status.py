from __future__ import annotations

import json

import pytest

from bridge import __version__
from bridge.errors import SelfTestFailed
from tests.server.conftest import Bridge, Samples, Start
from tests.server.fakes import FakeParts


async def test_health_says_who_and_nothing_else(bridge: Bridge) -> None:
    reply = await bridge("GET", "/v1/health", token=None)
    assert reply.json == {"service": "gpen-bridge", "status": "ok", "version": __version__, "protocol": 1}


async def test_it_listens_while_it_starts(start: Start) -> None:
    fakes = FakeParts()
    fakes.hold.clear()
    bridge = await start(fakes)
    assert (await bridge("GET", "/v1/health")).json["status"] == "starting"
    ready = (await bridge("GET", "/v1/ready")).json
    assert not ready["ready"]
    assert [reason["code"] for reason in ready["reasons"]] == ["not_ready"]
    assert (await bridge("GET", "/v1/capabilities")).status == 200
    fakes.hold.set()
    await bridge.ready()
    assert (await bridge("GET", "/v1/ready")).json == {"ready": True, "reasons": []}
    assert (await bridge("GET", "/v1/health")).json["status"] == "ok"


@pytest.mark.parametrize(
    ("failure", "code"),
    [(SelfTestFailed("cuda:0 is off by 0.3."), "self_test_failed"), (ValueError(), "internal")],
)
async def test_a_failed_self_test_degrades(
    start: Start, samples: Samples, failure: Exception, code: str
) -> None:
    bridge = await start(FakeParts(self_test_failure=failure))
    await bridge.ready()
    assert (await bridge("GET", "/v1/health")).json["status"] == "degraded"
    assert (await bridge("GET", "/v1/ready")).json["reasons"][0]["code"] == code
    assert (await bridge("POST", "/v1/enhance", data=samples.form())).code == code


async def test_capabilities_tell_what_can_be_asked(bridge: Bridge) -> None:
    told = (await bridge("GET", "/v1/capabilities")).json
    assert told["device"] == "a fake device"
    assert {"default", "dslr", "phone", "old-photo"} <= {preset["name"] for preset in told["presets"]}
    assert set(told["modes"]) == {"natural", "detail", "strong"}
    assert {"tiff", "png", "jpeg", "webp"} <= set(told["formats"])
    assert told["limits"]["max_megapixels"] == 250


async def test_metrics_count_pictures_faces_and_stages(bridge: Bridge, samples: Samples) -> None:
    await bridge("POST", "/v1/enhance", data=samples.form())
    text = (await bridge("GET", "/metrics")).body.decode()
    assert 'gpen_images_total{outcome="done"} 1.0' in text
    assert "gpen_faces_total 1.0" in text
    assert 'gpen_stage_seconds_count{stage="restore"} 1.0' in text
    assert "gpen_requests_in_flight 0.0" in text


async def test_the_log_shows_its_end_as_json_lines(bridge: Bridge) -> None:
    for _ in range(3):
        await bridge("GET", "/nowhere")
    lines = (await bridge("GET", "/v1/log?lines=2")).body.decode().splitlines()
    assert len(lines) == 2
    assert {json.loads(line)["code"] for line in lines} == {"not_found"}


@pytest.mark.parametrize("lines", ["0", "-1", "x", "5001", "", "1e3", "²", "9" * 50])
async def test_the_log_refuses_other_counts(bridge: Bridge, lines: str) -> None:
    assert (await bridge("GET", f"/v1/log?lines={lines}")).code == "invalid_request"


async def test_parts_are_closed_at_the_end(start: Start) -> None:
    bridge = await start()
    await bridge.ready()
    await bridge.app.shutdown()
    await bridge.app.cleanup()
    assert bridge.fakes.closed


async def test_loaded_networks_are_told_and_their_absence_is_no_reason(bridge: Bridge) -> None:
    for loaded in (["a", "b"], []):
        bridge.fakes.resident = loaded
        assert (await bridge("GET", "/v1/capabilities")).json["resident"] == loaded
        assert f"gpen_resident_networks {len(loaded)}.0" in (await bridge("GET", "/metrics")).body.decode()
        assert (await bridge("GET", "/v1/ready")).json == {"ready": True, "reasons": []}
