"""What a route is: the facts that the guard enforces and /openapi.json publishes.

Every noun's file ends in its ROUTES; `app.py` gathers them. A route that is not
described here cannot be reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web
from pydantic import BaseModel

from bridge.config import Places, Settings
from bridge.errors import BridgeError
from bridge.metrics import Metrics
from bridge.protocol.message import Question
from bridge.protocol.service import Right
from bridge.server.parameters import Parameter

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

SETTINGS = web.AppKey("settings", Settings)
PLACES = web.AppKey("places", Places)
METRICS = web.AppKey("metrics", Metrics)


class Access(StrEnum):
    """Whose token opens a route."""

    open = "open"
    client = "client"
    owner = "owner"
    itself = "itself"
    """The owner's, or that of the client which the address names: then whatever its rights."""
    handshake = "handshake"
    """A token in the first message over the socket; the handler asks for it."""


@dataclass(frozen=True)
class Route:
    """One method of one address.

    Attributes:
        handler: its docstring's first line is the route's summary.
        takes: the question in the body; None: no body.
        picture: the question rides beside a picture, in a frame or in multipart/form-data.
        accepts: media types of a body that is bytes, not a question.
        gives: the answer's model, or its media type when it is not JSON; None: 204, no body.
        status: of success.
        errors: what it may raise beside what every route may.
        query: query parameters; the handler reads them through the same facts.
        headers: request headers likewise.
        gives_files: media types of the files that it answers with instead of JSON.
        needs: the right that a client must have; None: to submit where something changes, else none.
    """

    method: str
    path: str
    handler: Handler
    access: Access = Access.client
    takes: type[Question] | None = None
    picture: bool = False
    accepts: tuple[str, ...] = ()
    gives: type[BaseModel] | str | None = None
    status: int = 200
    errors: tuple[type[BridgeError], ...] = ()
    query: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    gives_files: tuple[str, ...] = ()
    needs: Right | None = None

    @property
    def right(self) -> Right | None:
        """What a client's token must allow; None: every token does."""
        if self.access is not Access.client:
            return None
        return self.needs or ("submit" if self.method in CHANGING else None)

    @property
    def summary(self) -> str:
        """One sentence for people."""
        return (self.handler.__doc__ or "").strip().splitlines()[0]


ROUTES_BY_HANDLER = web.AppKey("routes_by_handler", dict[object, Route])


def route_of(request: web.Request) -> Route | None:
    """The facts of the route that a request matched; None where there is nothing."""
    return request.app[ROUTES_BY_HANDLER].get(request.match_info.handler)


def answer(model: BaseModel, status: int = 200) -> web.Response:
    """A model as a JSON response; absent fields are left out."""
    body = model.model_dump_json(exclude_none=True).encode()
    return web.Response(body=body, status=status, content_type="application/json")
