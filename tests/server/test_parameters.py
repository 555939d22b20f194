from __future__ import annotations

import json

import jsonschema
import pytest

from bridge.errors import InvalidRequest
from bridge.protocol.jobs import ItemStatus, Source
from bridge.protocol.reviews import ReviewRequest
from bridge.protocol.tidy import TidyRequest
from bridge.server.openapi import document
from bridge.server.parameters import Choice, Number, Text
from tests.server.conftest import Bridge

SIZE = Number("size", "", low=64, high=4096, default=512)


@pytest.mark.parametrize("text", ["64", "4096", "0512"])
def test_a_number_within_its_bounds_is_read(text: str) -> None:
    assert SIZE.read({"size": text}) == int(text)


@pytest.mark.parametrize(
    "text", ["", "63", "4097", "-64", "+64", "64.0", "6e2", " 64", "٦٤", "9" * 400, "0000000641000", "64\n"]
)
def test_another_is_refused_whatever_its_first_digits_say(text: str) -> None:
    with pytest.raises(InvalidRequest, match="size must be a number from 64 to 4096"):
        SIZE.read({"size": text})


def test_what_may_be_absent_and_what_may_not() -> None:
    assert SIZE.read({}) == 512
    assert Number("after", "", default=-1).read({}) == -1
    with pytest.raises(InvalidRequest):
        Number("offset", "", required=True).read({})
    assert Choice("state", "", words=tuple(ItemStatus)).read({}) is None
    assert Text("key", "", pattern="a+").read({}) is None


def test_words_and_forms() -> None:
    state = Choice("state", "", words=tuple(ItemStatus))
    assert state.read({"state": "done"}) is ItemStatus.done
    with pytest.raises(InvalidRequest, match="one of queued, leased"):
        state.read({"state": "Done"})
    key = Text("key", "", pattern="a+", form="some letters a")
    assert key.read({"key": "aaa"}) == "aaa"
    with pytest.raises(InvalidRequest, match="key must be some letters a"):
        key.read({"key": "aab"})


def test_the_document_says_what_is_read() -> None:
    assert SIZE.schema == {"type": "integer", "minimum": 64, "maximum": 4096, "default": 512}
    assert "default" not in Number("after", "", default=-1).schema
    assert Choice("state", "", words=tuple(ItemStatus)).schema["enum"] == [*map(str, ItemStatus)]
    assert Text("key", "", pattern="a+").schema["pattern"] == "^a+$"


@pytest.mark.parametrize("path", ["/v1/log?lines=0000000011000000", "/v1/jobs?limit=0000000011000000"])
async def test_digits_that_were_once_cut_off_count(bridge: Bridge, path: str) -> None:
    assert (await bridge("GET", path)).code == "invalid_request"


@pytest.mark.parametrize("said", [0, 1, "false", "no", "off", None])
async def test_only_false_deletes_files(bridge: Bridge, said: object) -> None:
    refused = await bridge("POST", "/v1/tidy", json={"dry_run": said})
    assert refused.code == "invalid_request"
    assert TidyRequest.parse_json(b'{"dry_run": false}').dry_run is False


@pytest.mark.parametrize(
    ("model", "body", "allowed"),
    [
        (Source, {"path": "a"}, True),
        (Source, {"upload": "a", "path": None}, True),
        (Source, {}, False),
        (Source, {"upload": "a", "path": "b"}, False),
        (ReviewRequest, {"verdict": "redo", "preset": "phone"}, True),
        (ReviewRequest, {"verdict": "accepted", "preset": None, "params": {"strength": None}}, True),
        (ReviewRequest, {"verdict": "accepted", "preset": "phone"}, False),
        (ReviewRequest, {"verdict": "none", "params": {"strength": 4}}, False),
    ],
)
def test_the_document_knows_which_fields_go_together(model: type, body: object, allowed: bool) -> None:
    from bridge.server.app import ROUTES

    told = document(ROUTES)
    schema = {**told["components"]["schemas"][model.__name__], "components": told["components"]}
    assert jsonschema.Draft202012Validator(schema).is_valid(body) is allowed
    if allowed:
        model.parse_json(json.dumps(body).encode())  # type: ignore[attr-defined]  # all are messages
    else:
        with pytest.raises(InvalidRequest):
            model.parse_json(json.dumps(body).encode())  # type: ignore[attr-defined]  # all are messages
