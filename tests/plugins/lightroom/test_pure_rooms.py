"""The rooms that think: Json, Protocol, Settings, Naming, Edits, WriteBack, Crop. No bridge, no photos."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.imaging.codecs import decode
from bridge.presets import BUILT_IN, Parameters
from tests.plugins.lightroom.host import Host
from tests.plugins.lightroom.world import World

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.fixture(scope="module")
def lua(tmp_path_factory: pytest.TempPathFactory) -> Host:
    return Host(World(tmp_path_factory.mktemp("pure")))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.booleans()
    | texts
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4) | st.dictionaries(texts, inner, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


@given(value=st.dictionaries(texts, values, max_size=4))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_json_there_and_back(lua: Host, value: Any) -> None:
    module = lua.require("Json")
    text = module[b"encode"](module[b"decode"](json.dumps(value, ensure_ascii=False).encode()))
    assert json.loads(text) == value
    # Canonical, but for how a float is spelt: whole numbers have no fraction here.
    assert module[b"encode"](module[b"decode"](text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1,]", "{'a':1}", "nul", "01", "1.", '"\\ud800"', '"\n"', "1 2", "NaN", "[" * 300, "1e999"],
)
def test_json_that_is_none(lua: Host, text: str) -> None:
    value, problem = lua.require("Json")[b"decode"](text.encode())
    assert value is None
    assert problem


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.frame")), ids=lambda path: path.stem)
def test_frames_mean_what_they_mean_in_every_language(lua: Host, path: Path) -> None:
    meant = json.loads(path.with_suffix(".json").read_text("utf-8"))
    protocol = lua.require("Protocol")
    result = protocol[b"decodeFrame"](path.read_bytes())
    if "error" in meant:
        assert (result[0], result[1].decode()) == (None, meant["error"])
        return
    assert result[b"kind"].decode() == meant["kind"]
    encode = lua.require("Json")[b"encode"]
    assert json.loads(encode(result[b"message"])) == meant["message"]
    payloads = result[b"payloads"]
    assert len(payloads) == len(meant["payloads"])
    for payload, expected in zip(payloads.values(), meant["payloads"], strict=True):
        got = {key.decode(): value for key, value in payload.items()}
        assert got.pop("content").hex() == expected["content"]
        assert {key: v.decode() if isinstance(v, bytes) else v for key, v in got.items()} == {
            key: value for key, value in expected.items() if key != "content"
        }
    if meant["canonical"] and meant["kind"] == "request":
        for payload in payloads.values():
            payload[b"bytes"] = None  # the writer counts for itself
        assert protocol[b"encodeFrame"](result[b"message"], payloads) == path.read_bytes()


def test_the_built_in_presets_are_the_bridges(lua: Host) -> None:
    mine = lua.from_lua(lua.require("Settings")[b"BUILT_IN"])
    theirs = [
        {
            "name": name,
            **preset.parameters.model_dump(mode="json", include={"strength", "denoise", "sharpen", "mode"}),
        }
        for name, preset in BUILT_IN.items()
    ]
    assert mine == theirs


anything = st.none() | st.booleans() | st.integers(-500, 500) | st.floats(allow_nan=False) | texts


@given(
    given_=st.dictionaries(
        st.sampled_from([*sorted(Parameters.model_fields), "naming", "resultFormat", "label"]), anything
    )
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_was_kept_becomes_settings_that_the_bridge_takes(lua: Host, given_: dict[str, Any]) -> None:
    module = lua.require("Settings")
    clamped = module[b"clamped"](lua.to_lua(given_))
    parameters = lua.from_lua(module[b"parameters"](clamped))
    whole = {key: int(v) if isinstance(v, float) else v for key, v in parameters.items()}
    assert Parameters(**whole)
    again = lua.from_lua(module[b"clamped"](clamped))
    assert again == lua.from_lua(clamped)


def test_a_preset_moves_only_what_it_names(lua: Host) -> None:
    module = lua.require("Settings")
    before = module[b"clamped"](lua.to_lua({"resultFormat": "jpeg", "strength": 10}))
    after = lua.from_lua(module[b"withPreset"](before, module[b"builtIn"](b"phone")))
    assert (after["strength"], after["mode"], after["preset"]) == (75, "detail", "phone")
    assert after["resultFormat"] == "jpeg"


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("IMG_1", "IMG_1-GPEN"),
        ("a/b:c*?", "a_b_c__-GPEN"),
        ("婚礼 – café", "婚礼 – café-GPEN"),
        ("con", "con-GPEN"),
        (" . ", ". -GPEN"),
    ],
)
def test_names_are_legal_everywhere(lua: Host, stem: str, expected: str) -> None:
    naming = lua.require("Naming")
    assert naming[b"stem"](b"{stem}-GPEN", lua.to_lua({"stem": stem})).decode() == expected


@given(text=texts)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_template_gives_a_name(lua: Host, text: str) -> None:
    name = lua.require("Naming")[b"legal"](text.encode()).decode("utf-8")
    assert 0 < len(name.encode()) <= 181
    assert not set(name) & set('/\\:*?"<>|')
    assert name[-1] not in ". "
    assert name.lower().split(".")[0] not in {"con", "nul", "aux", "prn", "com1", "lpt9"}


def test_a_taken_name_is_numbered(lua: Host) -> None:
    taken = {b"a.tif", b"a-2.tif"}
    assert lua.require("Naming")[b"free"](b"a", b"tif", lambda name: name in taken) == (b"a-3.tif", True)


@given(
    one=st.dictionaries(
        texts, st.floats(allow_nan=False) | st.lists(st.integers(0, 9), min_size=1) | st.booleans()
    ),
    key=texts,
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_edits_are_known_again_and_told_apart(lua: Host, one: dict[str, Any], key: str) -> None:
    fingerprint = lua.require("Edits")[b"fingerprint"]
    first = fingerprint(lua.to_lua(one))
    assert len(first) == 16
    assert fingerprint(lua.to_lua(dict(reversed(one.items())))) == first
    assert fingerprint(lua.to_lua({**one, key: "changed"})) != first


def test_only_what_is_missing_is_written_back(lua: Host) -> None:
    source = {
        "title": "Anna",
        "caption": "one\ntwo",
        "rating": 4,
        "colorNameForLabel": "gray",
        "gps": {"latitude": 1.5, "longitude": 2.5},
        "dateTimeOriginalISO8601": "2026-05-01T10:00:00",
    }
    result = {"title": "Anna", "gps": {"latitude": 1.5, "longitude": 2.5}}
    metadata = lua.require("WriteBack")[b"metadata"]
    changes = lua.from_lua(metadata(lua.to_lua(source), lua.to_lua(result), b"none"))
    assert {change["key"]: change["value"] for change in changes} == {
        "caption": "one\u2028two",
        "rating": 4,
        "dateCreated": "2026-05-01T10:00:00",
    }
    for chosen, kept in (
        (
            {"LR_removeLocationMetadata": True},
            {"title", "rating", "colorNameForLabel", "copyright", "creatorEmail"},
        ),
        ({"LR_embeddedMetadataOption": "copyrightOnly"}, {"copyright", "colorNameForLabel"}),
        (
            {"LR_embeddedMetadataOption": "copyrightAndContactOnly"},
            {"copyright", "creatorEmail", "colorNameForLabel"},
        ),
    ):
        private = {
            "title": "Anna",
            "rating": 4,
            "colorNameForLabel": "red",
            "copyright": "Studio",
            "creatorEmail": "a@b.c",
            "city": "Bern",
            "gps": {"latitude": 1.5, "longitude": 2.5},
            "gpsAltitude": 540,
        }
        changes = lua.from_lua(metadata(lua.to_lua(private), lua.to_lua({}), b"none", lua.to_lua(chosen)))
        assert {change["key"] for change in changes} == kept
    labelled = lua.from_lua(metadata(lua.to_lua({}), lua.to_lua({}), b"red"))
    assert labelled == [{"key": "colorNameForLabel", "value": "red"}]


@pytest.mark.parametrize(
    ("free", "short"),
    [
        ({"/a": 400.0, "/b": 400.0, "/work": 400.0}, [("/a", 120 + 180 + 2880)]),  # all on one volume
        ({"/a": 4000.0, "/b": 4000.0, "/work": 4000.0}, []),
        ({"/a": 250.0, "/b": 250.0, "/work": 3000.0}, [("/a", 300)]),
        ({"/a": 121.0, "/b": 179.0, "/work": 2879.0}, [("/b", 180), ("/work", 2880)]),
    ],
)
def test_space_is_short_by_volume(lua: Host, free: dict[str, float], short: list[tuple[str, int]]) -> None:
    facts = [{"folder": folder, "megapixels": size} for folder, size in (("/b", 60), ("/a", 40))]
    report = lua.to_lua({"candidates": [{"fact": fact} for fact in facts], "short": []})
    options = lua.to_lua({"format": "tiff8", "workFolder": "/work"})
    options[b"freeBytes"] = lambda folder: free[folder.decode()] * 1e6
    lua.require("Preflight")[b"measure"](report, options)
    found = lua.from_lua(report[b"short"])
    assert [(one["folder"], round(one["needs"] / 1e6)) for one in found or []] == short


@given(width=st.integers(3, 40), height=st.integers(3, 40), seed=st.integers(0, 99))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_crop_is_a_file_that_the_bridge_reads(lua: Host, width: int, height: int, seed: int) -> None:
    crop = lua.require("Crop")
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    cut = crop[b"cut"](pixels.tobytes(), width, 1, 2, width - 1, height - 2)
    image = decode(crop[b"tiff"](cut, width - 1, height - 2), max_megapixels=1)
    np.testing.assert_array_equal(image.pixels, pixels[2:, 1:])


@given(
    box=st.tuples(st.floats(0, 500), st.floats(0, 500), st.floats(1, 600), st.floats(1, 600)),
    width=st.integers(50, 900),
    height=st.integers(50, 900),
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_crop_lies_inside_the_picture(lua: Host, box: tuple[float, ...], width: int, height: int) -> None:
    x, y, w, h = box
    left, top, cut_width, cut_height = lua.require("Crop")[b"around"](
        lua.to_lua([x, y, x + w, y + h]), width, height, 32
    )
    assert 0 <= left <= left + cut_width <= width
    assert 0 <= top <= top + cut_height <= height
    assert cut_width > 0
