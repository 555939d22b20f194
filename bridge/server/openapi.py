"""/openapi.json: the contract as a machine reads it, made from the models and the route table."""

from __future__ import annotations

import asyncio
import functools
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from bridge import __version__
from bridge.errors import (
    BodyStalled,
    BodyTooLarge,
    BridgeError,
    HostRefused,
    OriginRefused,
    OwnerOnly,
    Unauthorized,
    UnsupportedMediaType,
    codes,
)
from bridge.presets import PresetName
from bridge.protocol import PROTOCOL, frame
from bridge.protocol.service import Problem
from bridge.server.problems import MEDIA_TYPE as PROBLEM_TYPE
from bridge.server.route import CHANGING, Access, Route

REF = "#/components/schemas/{model}"
DESCRIBED = web.AppKey("described", tuple[Route, ...])

Json = dict[str, Any]

IN_PATH: dict[str, Json] = {"name": TypeAdapter(PresetName).json_schema()}
"""What has a form of its own in a path; the others are ids that the bridge made, or are not there."""


def document(routes: Sequence[Route]) -> Json:
    """OpenAPI 3.1 of all routes; every error of a route is listed by status with its codes."""
    paths: dict[str, Json] = defaultdict(dict)
    for route in routes:
        paths[route.path][route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "GPEN Enhance bridge",
            "version": __version__,
            "description": f"Protocol {PROTOCOL}. docs/protocol.md says the same in words.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:17860"}],
        "security": [{"bearer": []}],
        "paths": dict(paths),
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(routes),
        },
    }


async def read_openapi(request: web.Request) -> web.StreamResponse:
    """This document."""
    body = await asyncio.to_thread(_encoded, request.app[DESCRIBED])
    return web.Response(body=body, content_type="application/json")


ROUTES = (Route("GET", "/openapi.json", read_openapi, gives="application/json"),)


@functools.cache
def _encoded(routes: tuple[Route, ...]) -> bytes:
    return json.dumps(document(routes)).encode()


def _operation(route: Route) -> Json:
    operation: Json = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "x-access": route.access.value,
        **({"x-right": route.right} if route.right else {}),
        "responses": {str(route.status if route.gives else 204): _success(route)} | _problems(route),
    }
    if route.access in (Access.open, Access.handshake):
        operation["security"] = []
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    if route.picture and route.takes:
        operation["requestBody"] = {"required": True, "content": _picture_content(route.takes)}
    elif route.takes:
        operation["requestBody"] = {"required": True, "content": {"application/json": _schema(route.takes)}}
    elif route.accepts:
        operation["requestBody"] = {
            "required": True,
            "content": {kind: _bytes(kind) for kind in route.accepts},
        }
    return operation


def _picture_content(question: type[BaseModel]) -> Json:
    parts = {"request": _ref(question), "image": {"type": "string", "format": "binary"}}
    return {
        frame.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}, "x-request": _ref(question)},
        "multipart/form-data": {
            "schema": {"type": "object", "properties": parts, "required": ["image"]},
            "encoding": {"request": {"contentType": "application/json"}},
        },
    }


def _bytes(media_type: str) -> Json:
    binary: Json = {"type": "string", "format": "binary"}
    if media_type != "multipart/form-data":
        return {"schema": binary}
    return {"schema": {"type": "object", "properties": {"file": binary}, "required": ["file"]}}


def _success(route: Route) -> Json:
    if route.gives is None:
        return {"description": "Done."}
    if isinstance(route.gives, str):
        return {"description": route.summary, "content": {route.gives: {}}}
    content: Json = {"application/json": _schema(route.gives)}
    if route.picture:
        content[frame.MEDIA_TYPE] = {
            "schema": {"type": "string", "format": "binary"},
            "x-result": _ref(route.gives),
        }
    for media_type in route.gives_files:
        content[media_type] = {"schema": {"type": "string", "format": "binary"}}
    if route.gives_files:
        del content["application/json"]
    return {"description": route.summary, "content": content}


def _problems(route: Route) -> Json:
    by_status: dict[int, list[str]] = defaultdict(list)
    for error in (*_common(route), *route.errors):
        if error.code not in by_status[error.status]:
            by_status[error.status].append(error.code)
    return {
        str(status): {
            "description": "; ".join(f"{code}: {codes()[code].title}" for code in listed),
            "content": {PROBLEM_TYPE: _schema(Problem)},
            "x-codes": listed,
        }
        for status, listed in sorted(by_status.items())
    }


def _common(route: Route) -> list[type[BridgeError]]:
    common: list[type[BridgeError]] = [HostRefused, OriginRefused, BridgeError]
    if route.access not in (Access.open, Access.handshake):
        common.append(Unauthorized)
    if route.access in (Access.owner, Access.itself):
        common.append(OwnerOnly)
    if route.method in CHANGING:
        common += [UnsupportedMediaType, BodyTooLarge, BodyStalled]
    return common


def _parameters(route: Route) -> list[Json]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": IN_PATH.get(name, {"type": "string"})}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    beside = [
        {
            "name": parameter.name,
            "in": place,
            "required": parameter.required,
            "description": parameter.meaning,
            "schema": parameter.schema,
        }
        for place, parameters in (("query", route.query), ("header", route.headers))
        for parameter in parameters
    ]
    return in_path + beside


def _schemas(routes: Sequence[Route]) -> Json:
    models: set[type[BaseModel]] = {Problem}
    for route in routes:
        models |= {model for model in (route.takes, route.gives) if isinstance(model, type)}
    ordered = sorted(models, key=lambda model: model.__name__)
    _, definitions = models_json_schema([(model, "validation") for model in ordered], ref_template=REF)
    schemas: Json = definitions["$defs"]
    schemas["Problem"]["properties"]["code"]["enum"] = sorted(codes())
    return schemas


def _ref(model: type[BaseModel]) -> Json:
    return {"$ref": REF.format(model=model.__name__)}


def _schema(model: type[BaseModel]) -> Json:
    return {"schema": _ref(model)}
