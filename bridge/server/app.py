"""Builds the application: the only place where parts are wired together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from aiohttp import web

from bridge.config import Places, Settings, bundled
from bridge.metrics import Metrics
from bridge.pipeline import Tools
from bridge.server import (
    checkpoints,
    clients,
    enhance,
    faces,
    log,
    openapi,
    pair,
    presets,
    requests,
    status,
)
from bridge.server.atomic import private_folder
from bridge.server.clients import CLIENTS, Clients
from bridge.server.guard import add_security_headers, guard
from bridge.server.log import LOG, Log
from bridge.server.pair import PAIRING, Pairing
from bridge.server.parts import READINESS, Parts, Readiness
from bridge.server.presets import PRESETS, PresetStore
from bridge.server.problems import problems
from bridge.server.requests import REQUESTS, Requests
from bridge.server.route import METRICS, PLACES, ROUTES_BY_HANDLER, SETTINGS, Route

DRAIN_SECONDS = 20.0
"""How long running pictures may take to finish when the bridge stops; then they are cancelled."""

TYPICAL_FACE = 300.0
"""Side in pixels of a face for which the checkpoint of the self-test is picked."""

ROUTES: tuple[Route, ...] = tuple(
    route
    for noun in (status, presets, checkpoints, faces, enhance, requests, log, clients, pair, openapi)
    for route in noun.ROUTES
)

OpenParts = Callable[[Settings, Places], Parts]


def build(settings: Settings, places: Places, *, owner_token: str, open_parts: OpenParts) -> web.Application:
    """The application, ready to be run with `handler_cancellation=True`.

    Args:
        owner_token: what bridge.json carries.
        open_parts: opens the heavy parts; runs in a thread after the start.

    Raises:
        ConfigInvalid: clients.json cannot be read.
        OutputError: the data folder cannot be made.
    """
    private_folder(places.data)
    private_folder(places.exchange)
    app = web.Application(
        # Outermost first: nothing reaches a handler past the guard, nothing leaves past problems.
        middlewares=(problems, guard),
        client_max_size=settings.max_json_bytes,
    )
    app[SETTINGS] = settings
    app[PLACES] = places
    app[METRICS] = Metrics()
    app[LOG] = Log(places.log_file, settings.log_level)
    app[CLIENTS] = Clients(places.clients_file, owner_token)
    app[PAIRING] = Pairing()
    app[PRESETS] = PresetStore(places.presets)
    app[REQUESTS] = Requests(settings.max_requests)
    app[READINESS] = Readiness(lambda: open_parts(settings, places), app[LOG])
    app[status.UPTIME] = status.Uptime()
    app[checkpoints.TRANSFERS] = checkpoints.Transfers(app[LOG])
    by_handler: dict[object, Route] = {route.handler: route for route in ROUTES}
    app[ROUTES_BY_HANDLER] = by_handler
    app[openapi.DESCRIBED] = ROUTES
    for route in ROUTES:
        app.router.add_route(route.method, route.path, route.handler)
    app.on_response_prepare.append(add_security_headers)
    app.on_shutdown.append(_drain)
    app.cleanup_ctx.append(_life)
    return app


def open_parts(settings: Settings, places: Places) -> Parts:
    """The real parts; takes seconds, since it imports torch.

    Raises:
        DetectorUnavailable, CheckpointError, DeviceUnavailable: a part cannot be opened.
    """
    from bridge.checkpoints import AUTO, Checkpoints
    from bridge.engine.device import choose
    from bridge.engine.engine import Engine
    from bridge.faces.detect import Detector

    detector = Detector()
    library = Checkpoints(bundled("weights"), places.weights)
    device = choose(settings.device, settings.threads)
    engine = Engine(library.open, device)
    tools = Tools(
        detector,
        engine,
        library,
        min_face=settings.min_face,
        min_score=settings.min_score,
        max_megapixels=settings.max_megapixels,
    )
    return Parts(
        tools,
        library,
        device.title,
        self_test=lambda: engine.warm_up(library.pick(AUTO, TYPICAL_FACE).name),
        close=engine.close,
    )


async def _life(app: web.Application) -> AsyncIterator[None]:
    app[READINESS].start()
    yield
    await app[checkpoints.TRANSFERS].close()
    await app[READINESS].close()
    app[LOG].close()


async def _drain(app: web.Application) -> None:
    await app[REQUESTS].drain(DRAIN_SECONDS)
