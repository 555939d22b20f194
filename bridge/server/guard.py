"""Who may speak to the bridge: Host, Origin, token, content type and length, before any handler.

The first middleware inside the one that turns errors into problem documents. It reads
raw headers only: `request.url` raises on a hostile Host. Each check is a line of the
threat list in docs/protocol.md.
"""

from __future__ import annotations

from aiohttp import web

from bridge.errors import (
    BodyTooLarge,
    Busy,
    HostRefused,
    InvalidRequest,
    OriginRefused,
    OwnerOnly,
    RightMissing,
    Unauthorized,
    UnsupportedMediaType,
)
from bridge.protocol.frame import MEDIA_TYPE
from bridge.server.clients import CLIENTS, Caller
from bridge.server.lan import LAN
from bridge.server.rate import Rate
from bridge.server.route import CHANGING, SETTINGS, Access, Handler, Route, route_of

CALLER = web.RequestKey("caller", Caller)

TRIES_A_MINUTE = 20
"""Wrong tokens from one address of another computer."""


class Limits:
    """How often other computers may ask: each client, and each address with tokens that are none.

    Args:
        client_requests: a minute; 0 does not count.
    """

    def __init__(self, client_requests: int) -> None:
        self.clients = Rate(client_requests)
        self.strangers = Rate(TRIES_A_MINUTE)


LIMITS = web.AppKey("limits", Limits)

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
PICTURE_TYPES = (MEDIA_TYPE, "multipart/form-data")
SIMPLE_TYPES = frozenset({"text/plain", "multipart/form-data", "application/x-www-form-urlencoded"})
"""What any web page may send to any address without the browser asking first."""


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let a request through to its handler, or raise what is wrong with it."""
    lan = request.app[LAN]
    far = lan.took(request)
    sender = lan.sender(request) if far else ""
    own = lan.hosts if far else _own_hosts(request)
    _check_host(request, own)
    _check_origin(request, own, "https" if far else "http")
    route = route_of(request)
    # An address that does not exist asks for a token too: strangers learn nothing from it.
    _check_caller(request, route.access if route else Access.client, sender)
    if route and route.right and route.right not in request[CALLER].rights:
        raise RightMissing(f"{request.method} {request.path} takes the right to {route.right}.")
    if route and route.query:
        _check_query(request, route)
    if route and route.method in CHANGING:
        _check_body(request, route)
    return await handler(request)


async def add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every response, also those that no middleware sees (a signal of the application)."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "gpen-bridge"  # instead of the library's name and version


def _own_hosts(request: web.Request) -> frozenset[str]:
    """The values of Host that mean this bridge, with the port that this connection came in on."""
    port = own_port(request)
    return frozenset(f"{name}:{port}" for name in LOOPBACK_NAMES)


def own_port(request: web.Request) -> int:
    """The port that a request came in on."""
    if request.transport is None:
        raise HostRefused("The connection is gone.")
    port: int = request.transport.get_extra_info("sockname")[1]
    return port


def _check_host(request: web.Request, own: frozenset[str]) -> None:
    hosts = request.headers.getall("Host", [])
    if len(hosts) != 1 or hosts[0].lower() not in own:
        # A page of a name that an attacker pointed at 127.0.0.1 sends that name (DNS rebinding).
        raise HostRefused(f"Expected one of: {', '.join(sorted(own))}.")


def _check_origin(request: web.Request, own: frozenset[str], scheme: str) -> None:
    origins = request.headers.getall("Origin", [])
    # Absent for the plug-ins' own HTTP clients; "null" is a sandboxed or local page and is no one.
    if len(origins) > 1 or (origins and origins[0].lower() not in {f"{scheme}://{host}" for host in own}):
        raise OriginRefused("The Origin header names another site.")
    # Each of them, should there be two: libraries disagree about which one counts.
    if any(
        site.lower() not in ("none", "same-origin") for site in request.headers.getall("Sec-Fetch-Site", [])
    ):
        raise OriginRefused("A page of another site sent this request.")


def _check_query(request: web.Request, route: Route) -> None:
    """A misspelt parameter is named, not taken for one that was left out."""
    known = [parameter.name for parameter in route.query]
    if unknown := [name for name in request.query if name not in known]:
        raise InvalidRequest(f"The address takes {', '.join(known)}; it has no {unknown[0]!r}.")


def _check_caller(request: web.Request, access: Access, sender: str) -> None:
    """Whose token it is.

    Args:
        sender: address of another computer; empty on this one, where nobody is counted.
    """
    limits = request.app[LIMITS]
    if sender and (seconds := limits.strangers.wait(sender)):
        raise Busy("Too many tokens were tried from this address.", retry_after=seconds)
    if access in (Access.open, Access.handshake):
        return
    values = request.headers.getall("Authorization", [])
    scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
    caller = request.app[CLIENTS].caller(token) if scheme.lower() == "bearer" else None
    if caller is None or (sender and caller.is_local):
        if sender:
            limits.strangers.take(sender)
        raise Unauthorized('Send "Authorization: Bearer TOKEN" with the token of bridge.json or of pairing.')
    if sender and (seconds := limits.clients.take(caller.client_id)):
        raise Busy("This client has sent too many requests in the last minute.", retry_after=seconds)
    itself = access is Access.itself and request.match_info["client_id"] == caller.client_id
    if access in (Access.owner, Access.itself) and not itself and "admin" not in caller.rights:
        raise OwnerOnly(f"{request.method} {request.path} takes the token of bridge.json.")
    request[CALLER] = caller


def _check_body(request: web.Request, route: Route) -> None:
    # All of them: the parser unpacks by the last one, whatever the first one says.
    if any(coding.lower() != "identity" for coding in request.headers.getall("Content-Encoding", [])):
        raise UnsupportedMediaType("Compressed bodies are not accepted.", hint="Send the body as it is.")
    types = request.headers.getall("Content-Type", [])
    if len(types) > 1:
        raise UnsupportedMediaType("The body has more than one content type.", hint="Send one.")
    sent = request.content_type if types else None
    if route.accepts:
        refused, wanted = sent not in route.accepts, " or ".join(route.accepts)
    elif route.takes is None:
        refused, wanted = sent in SIMPLE_TYPES, "no body, or application/json"
    elif route.picture:
        refused, wanted = sent not in PICTURE_TYPES, " or ".join(PICTURE_TYPES)
    else:
        refused, wanted = sent != "application/json", "application/json"
    if refused:
        raise UnsupportedMediaType(f"The content type is {sent or 'missing'}.", hint=f"Send {wanted}.")
    limit = body_limit(request, route)
    if request.content_length is not None and request.content_length > limit:
        raise BodyTooLarge(f"The body takes {request.content_length} bytes; at most {limit} are accepted.")


def body_limit(request: web.Request, route: Route) -> int:
    """Largest body of a route, in bytes; readers count against it while they stream."""
    settings = request.app[SETTINGS]
    return settings.max_upload_bytes if route.picture or route.accepts else settings.max_json_bytes
