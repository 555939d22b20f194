"""How the bridge is: health, readiness, capabilities, statistics and metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from aiohttp import web

from bridge import __version__
from bridge.errors import InvalidRequest, NotReady, OutputError, StoreUnavailable
from bridge.imaging.codecs import Format
from bridge.metrics import Metrics
from bridge.presets import Mode
from bridge.protocol import PROTOCOL
from bridge.protocol.proof import CHALLENGE, CHALLENGE_FORM, HEADER, proof
from bridge.protocol.service import Capabilities, Health, Limits, Ready, Reason, StageStats, Stats
from bridge.server.checkpoints import TRANSFERS, states
from bridge.server.clients import CLIENTS
from bridge.server.guard import own_port
from bridge.server.jobs import RUNNER, VIEWS
from bridge.server.parameters import Text
from bridge.server.parts import READINESS
from bridge.server.presets import PRESETS
from bridge.server.requests import REQUESTS
from bridge.server.results import OUTPUTS
from bridge.server.route import METRICS, SETTINGS, Access, Route, answer
from bridge.server.tidy import RETENTION

METRICS_TYPE = "text/plain"


class Uptime:
    """Seconds since the bridge started."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    @property
    def seconds(self) -> float:
        """Never zero, so that it can be divided by."""
        return max(self._clock() - self._began, 1e-3)


UPTIME = web.AppKey("uptime", Uptime)


SECRET = Text(
    "secret",
    "Which secret is to be proved: the first 16 digits of its SHA-256.",
    pattern=CHALLENGE,
    form=CHALLENGE_FORM,
)
NONCE = Text(
    "nonce",
    "Proved with it; the answer is in the header GPEN-Proof.",
    pattern=CHALLENGE,
    form=CHALLENGE_FORM,
)


async def health(request: web.Request) -> web.StreamResponse:
    """Whether a bridge answers here, and how it is; needs no token, and proves whose it is."""
    status = request.app[READINESS].status
    response = answer(Health(status=status, version=__version__, protocol=PROTOCOL))
    if proof := _proof(request):
        response.headers[HEADER] = proof
    return response


def _proof(request: web.Request) -> str | None:
    """That we know the secret which the query names; None where there is no question, or no such secret."""
    name, nonce = SECRET.read(request.query), NONCE.read(request.query)
    if name is None and nonce is None:
        return None
    if name is None or nonce is None:
        raise InvalidRequest("secret and nonce come together.")
    known = request.app[CLIENTS].secret_named(name)
    return None if known is None else proof(known, own_port(request), nonce)


async def ready(request: web.Request) -> web.StreamResponse:
    """Whether pictures are taken now, and if not, why."""
    failure = request.app[READINESS].failure
    reasons = [] if failure is None else [Reason(code=failure.code, detail=failure.detail)]
    # What makes batches wait does not keep single pictures from being taken.
    waiting = request.app[RUNNER].waiting
    if waiting is not None and waiting.code not in (NotReady.code, failure and failure.code):
        reasons.append(waiting)
    return answer(Ready(ready=failure is None, reasons=tuple(reasons)))


async def capabilities(request: web.Request) -> web.StreamResponse:
    """What this bridge can do: checkpoints, device, presets, limits and formats."""
    settings = request.app[SETTINGS]
    limits = Limits(
        max_megapixels=settings.max_megapixels,
        max_upload_bytes=settings.max_upload_bytes,
        max_json_bytes=settings.max_json_bytes,
        max_requests=settings.max_requests,
    )
    parts = request.app[READINESS].parts_if_open
    transfer_of = request.app[TRANSFERS].of
    known = (await asyncio.to_thread(states, parts.checkpoints, transfer_of)).checkpoints if parts else ()
    return answer(
        Capabilities(
            version=__version__,
            protocol=PROTOCOL,
            device=parts.device if parts else None,
            engines=parts.engines() if parts else {},
            resident=tuple(await asyncio.to_thread(parts.resident)) if parts else (),
            checkpoints=known,
            presets=await asyncio.to_thread(request.app[PRESETS].all),
            modes=tuple(Mode),
            formats=tuple(Format),
            limits=limits,
        )
    )


async def stats(request: web.Request) -> web.StreamResponse:
    """Throughput and stage times since the start."""
    uptime = request.app[UPTIME].seconds
    return answer(statistics(request.app[METRICS], uptime, request.app[REQUESTS].in_flight))


def statistics(metrics: Metrics, uptime: float, in_flight: int) -> Stats:
    """The counters as numbers for people."""
    images: dict[str, int] = {}
    counts: dict[str, float] = {}
    sums: dict[str, float] = {}
    faces = 0
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "gpen_images_total":
                images[sample.labels["outcome"]] = int(sample.value)
            elif sample.name == "gpen_faces_total":
                faces = int(sample.value)
            elif sample.name == "gpen_stage_seconds_count":
                counts[sample.labels["stage"]] = sample.value
            elif sample.name == "gpen_stage_seconds_sum":
                sums[sample.labels["stage"]] = sample.value
    stages = {
        stage: StageStats(count=int(count), seconds=sums[stage], mean=sums[stage] / count)
        for stage, count in counts.items()
    }
    return Stats(
        uptime_seconds=uptime,
        in_flight=in_flight,
        images=images,
        faces=faces,
        images_per_hour=images.get("done", 0) * 3600 / uptime,
        stages=stages,
    )


async def exposition(request: web.Request) -> web.StreamResponse:
    """Counters and timings for Prometheus."""
    await asyncio.to_thread(_gauge, request.app)
    return web.Response(body=request.app[METRICS].exposition(), content_type=METRICS_TYPE, charset="utf-8")


def _gauge(app: web.Application) -> None:
    """Measure what is not counted as it happens; a store that does not answer leaves the old values."""
    metrics = app[METRICS]
    with suppress(StoreUnavailable):
        for state, items in app[VIEWS].queue().items():
            metrics.queue.labels(state).set(items)
        metrics.client_queue.clear()  # whoever has nothing waiting any more is not told
        for client, states in app[VIEWS].queue_by_client().items():
            for state, items in states.items():
                metrics.client_queue.labels(client, state).set(items)
        metrics.output_bytes.set(app[RETENTION].output_bytes())
    parts = app[READINESS].parts_if_open
    if parts is not None:
        metrics.resident.set(len(parts.resident()))
    if parts is not None and parts.pool is not None:
        told = [state.healthy for state in parts.pool.workers]
        metrics.workers.labels("healthy").set(sum(told))
        metrics.workers.labels("unhealthy").set(len(told) - sum(told))
    with suppress(OutputError):
        metrics.free_bytes.set(app[OUTPUTS].free_bytes)


ROUTES = (
    Route(
        "GET",
        "/v1/health",
        health,
        access=Access.open,
        gives=Health,
        errors=(InvalidRequest,),
        query=(SECRET, NONCE),
    ),
    Route("GET", "/v1/ready", ready, gives=Ready),
    Route("GET", "/v1/capabilities", capabilities, gives=Capabilities),
    Route("GET", "/v1/stats", stats, gives=Stats),
    Route("GET", "/metrics", exposition, gives=METRICS_TYPE),
)
