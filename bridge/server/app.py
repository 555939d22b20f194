"""Builds the application: the only place where parts are wired together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from bridge.atomic import private_folder
from bridge.config import Places, Settings, bundled
from bridge.engine import allocator
from bridge.errors import BridgeError
from bridge.jobs import runner as workers
from bridge.jobs.audit import AuditLog
from bridge.jobs.batches import Batches
from bridge.jobs.journal import Journal
from bridge.jobs.outputs import Outputs, Step
from bridge.jobs.pace import Pace
from bridge.jobs.previews import Previews
from bridge.jobs.queue import Queue
from bridge.jobs.retention import Retention, Rules
from bridge.jobs.reviews import Reviews
from bridge.jobs.runner import Crew, Runner
from bridge.jobs.sources import Sources
from bridge.jobs.store import Store
from bridge.jobs.uploads import Uploads
from bridge.jobs.views import Outlook, Views
from bridge.metrics import Metrics
from bridge.pipeline import Restorer, Tools
from bridge.server import (
    checkpoints,
    clients,
    console,
    enhance,
    events,
    faces,
    jobs,
    log,
    openapi,
    pair,
    presets,
    requests,
    results,
    reviews,
    roster,
    status,
    tidy,
    uploads,
)
from bridge.server.clients import CLIENTS, Clients
from bridge.server.guard import LIMITS, Limits, add_security_headers, guard
from bridge.server.lan import LAN, lan_of
from bridge.server.log import LOG, Log
from bridge.server.pair import PAIRING, Pairing
from bridge.server.parts import READINESS, Parts, Readiness
from bridge.server.presets import PRESETS, PresetStore
from bridge.server.problems import problems
from bridge.server.requests import REQUESTS, Requests
from bridge.server.route import METRICS, PLACES, ROUTES_BY_HANDLER, SETTINGS, Route

if TYPE_CHECKING:
    from bridge.checkpoints import Checkpoints
    from bridge.faces.detect import Detector

DRAIN_SECONDS = 20.0
"""How long running pictures may take to finish when the bridge stops; then they are cancelled."""

TYPICAL_FACE = 300.0
"""Side in pixels of a face for which the checkpoint of the self-test is picked."""

ROUTES: tuple[Route, ...] = tuple(
    route
    for noun in (
        *(status, presets, checkpoints, faces, enhance, requests),
        *(uploads, jobs, results, reviews, events, tidy),
        *(log, roster, clients, pair, openapi, console),
    )
    for route in noun.ROUTES
)

DRAIN = web.AppKey("drain", float)
STORE = web.AppKey("store", Store)
HOUSEKEEPER = web.AppKey("housekeeper", tidy.Housekeeper)

OpenParts = Callable[[Settings, Places], Parts]


def build(
    settings: Settings,
    places: Places,
    *,
    owner_token: str,
    open_parts: OpenParts,
    steps: Step = lambda _: None,
) -> web.Application:
    """The application, ready to be run with `handler_cancellation=True`.

    Args:
        owner_token: what bridge.json carries.
        open_parts: opens the heavy parts; runs in a thread after the start.
        steps: told each step of an item; benchmarks/torture.py kills the process there.

    Raises:
        StoreUnavailable, DiskFull: the store of jobs cannot be opened.
        ConfigInvalid: clients.json cannot be read.
        OutputError: the data folder cannot be made.
    """
    allocator.keep_large_buffers()  # before there are threads
    private_folder(places.data)
    for folder in (places.exchange, places.uploads, places.outputs):
        private_folder(folder)
    app = web.Application(
        # Outermost first: nothing reaches a handler past the guard, nothing leaves past problems.
        middlewares=(problems, guard),
        client_max_size=settings.max_json_bytes,
    )
    app[DRAIN] = DRAIN_SECONDS
    app[SETTINGS] = settings
    app[PLACES] = places
    app[METRICS] = Metrics()
    app[LOG] = Log(places.log_file, settings.log_level)
    app[CLIENTS] = Clients(places.clients_file, owner_token)
    app[PAIRING] = Pairing()
    app[PRESETS] = PresetStore(places.presets)
    app[REQUESTS] = Requests(settings.max_requests, settings.client_pictures)
    app[LAN] = lan_of(settings)
    app[LIMITS] = Limits(settings.client_requests)
    app[READINESS] = Readiness(
        lambda: open_parts(settings, places), app[LOG], on_ready=lambda: app[jobs.RUNNER].wake()
    )
    _build_queue(app, settings, places, steps)
    app[console.ASSETS] = console.Assets(console.FOLDER)
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


def _build_queue(app: web.Application, settings: Settings, places: Places, steps: Step) -> None:
    """Everything that batches need, around one store."""
    store, pace, log, metrics = Store(places.store), Pace(), app[LOG].logger, app[METRICS]
    # The journal tells what the runner waits for, and the runner writes into the journal.
    outlook = Outlook(pace.eta, lambda: app[jobs.RUNNER].waiting)
    journal, views = Journal(store, outlook), Views(store, outlook)
    queue = Queue(store, journal, time.monotonic, first_pause=settings.retry_seconds)
    outputs = Outputs(places.outputs, queue, views.owns, steps)
    received = Uploads(places.uploads, store, settings.max_upload_bytes)
    sources = Sources((places.exchange, *settings.allowed_roots), received, settings.max_megapixels)
    audit = AuditLog(places.audit, names=settings.audit_names)
    rules = Rules(settings.max_output_bytes, settings.keep_days)
    retention = Retention(store, journal, outputs, places.uploads, places.exchange, rules)

    def settled() -> None:
        try:
            audit.catch_up(store)
        except BridgeError as error:
            log.warning("audit put off", code=error.code, detail=error.detail)
        except Exception as error:  # whoever settled an item works on; the next one tries again
            log.error("audit failed", exc_info=error)

    def observe(seconds: dict[str, float], restored: int, outcome: str) -> None:
        metrics.observe(seconds, faces=restored, outcome=outcome)

    crew = Crew(
        *(queue, journal, outputs, sources, pace, app[READINESS].tools, log, observe, settled),
        check=store.check if store.crashed else lambda: None,
        steps=steps,
    )
    limits = workers.Limits(settings.job_workers, settings.job_megapixels, settings.min_free_bytes)
    runner = Runner(crew, limits)
    batches = Batches(store, journal, runner.drop)
    app[STORE] = store
    app[jobs.BATCHES], app[jobs.VIEWS], app[jobs.SOURCES], app[jobs.RUNNER] = batches, views, sources, runner
    app[results.OUTPUTS] = outputs
    app[results.PREVIEWS] = Previews(places.previews, store, outputs, sources, settings.max_megapixels)
    app[reviews.REVIEWS] = Reviews(store, journal, batches)
    app[uploads.UPLOADS] = received
    app[events.FEED] = feed = events.Feed(journal)
    store.on_commit(feed.stored)
    app[enhance.AUDIT] = audit
    app[tidy.RETENTION] = retention
    app[HOUSEKEEPER] = tidy.Housekeeper((journal.prune, settled, retention.tidy), app[LOG])


def open_parts(settings: Settings, places: Places) -> Parts:
    """The real parts; takes seconds, since it imports torch.

    Raises:
        DetectorUnavailable, CheckpointError, DeviceUnavailable: a part cannot be opened.
    """
    from bridge.checkpoints import AUTO, Checkpoints
    from bridge.engine.device import choose
    from bridge.engine.engine import Engine
    from bridge.engine.selection import Selection, engines_for
    from bridge.faces.detect import Detector

    detector = Detector()
    library = Checkpoints(bundled("weights"), places.weights)
    if settings.ray_address:
        return _open_pool(settings, places, detector, library)
    device = choose(settings.device, settings.threads)
    engines = engines_for(settings.engine, settings.device, device)
    selection = Selection(library, device, engines, places.engines_file)
    engine = Engine(
        selection.open, device, reference=selection.reference, unload_after=settings.unload_seconds
    )
    return Parts(
        _tools(settings, detector, engine, library),
        library,
        device.title,
        selection.chosen.copy,
        self_test=lambda: engine.warm_up(library.pick(AUTO, TYPICAL_FACE).name),
        close=engine.close,
        resident=engine.resident,
    )


def _open_pool(settings: Settings, places: Places, detector: Detector, library: Checkpoints) -> Parts:
    """The parts of a studio's bridge: passes run on Ray's workers, everything else here."""
    from bridge.checkpoints import AUTO
    from bridge.engine.pool import Pool
    from bridge.engine.ray import Identity, Plan, RayCluster, require
    from bridge.engine.workers import Published

    def describe(name: str) -> Published:
        entry, path, stamp = library.stored(name)
        return Published(name, path, stamp.sha256, stamp.bytes, entry.input, entry.output)

    require()
    first = library.pick(AUTO, TYPICAL_FACE).name
    plan = Plan(
        settings.ray_address,
        places.ray_token,
        settings.ray_in_flight,
        describe(first),
        settings.ray_most_workers,
        Identity(places.cluster) if settings.ray_tls else None,
    )
    pool = Pool(RayCluster(plan, describe), in_flight=settings.ray_in_flight)
    return Parts(
        _tools(settings, detector, pool, library),
        library,
        f"the studio's workers at {settings.ray_address}",
        pool.engines,
        self_test=lambda: pool.warm_up(first),
        close=pool.close,
        resident=pool.resident,
        problem=lambda: pool.problem,
        pool=pool,
    )


def _tools(settings: Settings, detector: Detector, engine: Restorer, library: Checkpoints) -> Tools:
    return Tools(
        detector,
        engine,
        library,
        min_face=settings.min_face,
        min_score=settings.min_score,
        max_megapixels=settings.max_megapixels,
    )


async def _life(app: web.Application) -> AsyncIterator[None]:
    app[events.FEED].start()
    app[READINESS].start()
    app[jobs.RUNNER].start()
    app[HOUSEKEEPER].start()
    yield
    await app[HOUSEKEEPER].close()
    await app[checkpoints.TRANSFERS].close()
    await app[READINESS].close()
    await asyncio.to_thread(app[results.PREVIEWS].close)
    await asyncio.to_thread(app[STORE].close)
    app[LOG].close()


async def _drain(app: web.Application) -> None:
    await asyncio.gather(
        app[events.FEED].close(),
        app[REQUESTS].drain(app[DRAIN]),
        asyncio.to_thread(app[jobs.RUNNER].close, app[DRAIN]),
    )
