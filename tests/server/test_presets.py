from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from bridge.presets import BUILT_IN
from bridge.server.presets import PRESETS, PresetStore
from tests.server.conftest import Bridge

BODY = {"parameters": {"strength": 42, "mode": "detail"}}


async def test_a_preset_lives_and_dies(bridge: Bridge) -> None:
    put = await bridge("PUT", "/v1/presets/Wedding (soft)", json=BODY)
    assert (put.status, put.json["parameters"]["strength"]) == (200, 42)
    assert put.json["parameters"]["denoise"] == 30  # what is left out is the default
    names = [preset["name"] for preset in (await bridge("GET", "/v1/presets")).json["presets"]]
    assert names == [*BUILT_IN, "Wedding (soft)"]
    assert (await bridge("GET", "/v1/presets/Wedding (soft)")).json == put.json
    assert (await bridge("DELETE", "/v1/presets/Wedding (soft)")).status == 204
    assert (await bridge("DELETE", "/v1/presets/Wedding (soft)")).code == "preset_unknown"
    assert (await bridge("GET", "/v1/presets/Wedding (soft)")).code == "preset_unknown"


async def test_it_survives_a_restart(bridge: Bridge) -> None:
    await bridge("PUT", "/v1/presets/mine", json=BODY)
    assert PresetStore(bridge.places.presets).get("mine").parameters.strength == 42


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_built_in_presets_are_read_only(bridge: Bridge, method: str) -> None:
    reply = await bridge(method, "/v1/presets/dslr", json=BODY)
    assert reply.code == "preset_read_only"
    assert (await bridge("GET", "/v1/presets/dslr")).json["parameters"]["strength"] == 60


@pytest.mark.parametrize("name", ["婚礼", "café", "CON", "a" * 64, "A", "a", "nul.txt", "trailing. "])
async def test_any_letters_make_a_name_on_any_file_system(bridge: Bridge, name: str) -> None:
    await bridge("PUT", f"/v1/presets/{quote(name)}", json=BODY)
    assert bridge.app[PRESETS].get(name).name == name
    assert all(path.name.isascii() for path in bridge.places.presets.iterdir())


async def test_composed_and_decomposed_accents_are_one_name(bridge: Bridge) -> None:
    await bridge("PUT", "/v1/presets/caf%C3%A9", json=BODY)
    assert (await bridge("GET", "/v1/presets/cafe%CC%81")).json["name"] == "café"


@pytest.mark.parametrize(
    "name", ["..", "../evil", "a/b", "a" * 65, " a", "a\nb", "\x00", "a:b", "a\\b", "\udc80"]
)
async def test_other_names_are_refused(bridge: Bridge, name: str) -> None:
    escaped = quote(name.encode("utf-8", "surrogateescape"), safe="")
    reply = await bridge("PUT", f"/v1/presets/{escaped}", json=BODY)
    assert 400 <= reply.status < 500
    assert not bridge.places.presets.exists() or not list(bridge.places.presets.iterdir())


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", "{", '{"parameters": {"strength": 101}}', '{"parameters": {}, "built_in": true}',
     '{"parameters": {"strength": NaN}}', '{"parameters": {"checkpoint": "\\ud800"}}', "[" * 5000],
)  # fmt: skip
async def test_bodies_that_are_no_preset_are_named(bridge: Bridge, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    reply = await bridge("PUT", "/v1/presets/mine", data=body.encode(), headers=headers)
    assert reply.code == "invalid_request"


async def test_a_broken_file_is_passed_over(bridge: Bridge) -> None:
    await bridge("PUT", "/v1/presets/mine", json=BODY)
    (bridge.places.presets / "broken.json").write_text("{")
    (bridge.places.presets / "claims.json").write_text(
        json.dumps({"name": "claims", "parameters": {}, "built_in": True})
    )
    listed = {preset["name"]: preset for preset in (await bridge("GET", "/v1/presets")).json["presets"]}
    assert "mine" in listed
    assert listed["claims"]["built_in"] is False
