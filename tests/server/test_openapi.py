from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest

from bridge.errors import codes
from bridge.server.app import ROUTES
from bridge.server.openapi import document
from tests.server.conftest import Bridge, Samples


def refs(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*(refs(value) for value in node.values()))
    return set().union(*(refs(value) for value in node)) if isinstance(node, list) else set()


async def test_it_is_served_whole(bridge: Bridge) -> None:
    assert (await bridge("GET", "/openapi.json")).json == document(ROUTES)


async def test_every_route_of_the_application_is_in_it(bridge: Bridge) -> None:
    paths = document(ROUTES)["paths"]
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in bridge.app.router.routes()
        if route.resource
    }
    assert served == {(method, path) for path, item in paths.items() for method in item}


def test_it_hangs_together() -> None:
    told = document(ROUTES)
    for ref in refs(told):
        assert ref.removeprefix("#/components/schemas/") in told["components"]["schemas"]
    operations = [operation for item in told["paths"].values() for operation in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    for operation in operations:
        assert re.fullmatch(r"[A-Z].*\.", operation["summary"]), operation["operationId"]


def test_every_code_is_listed() -> None:
    told = document(ROUTES)
    assert told["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == sorted(codes())


@pytest.mark.parametrize("path", ["/v1/health", "/v1/ready", "/v1/capabilities", "/v1/stats", "/v1/presets"])
async def test_answers_are_as_it_says(bridge: Bridge, path: str) -> None:
    told = document(ROUTES)
    schema = told["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate((await bridge("GET", path)).json, {**schema, "components": told["components"]})


async def test_answers_to_pictures_are_as_it_says(bridge: Bridge, samples: Samples) -> None:
    told = document(ROUTES)
    schema = told["paths"]["/v1/faces"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    found = await bridge("POST", "/v1/faces", data=samples.form())
    jsonschema.validate(found.json, {**schema, "components": told["components"]})
