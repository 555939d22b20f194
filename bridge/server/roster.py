"""Who is there: paired clients with their queues, and a studio's workers."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from bridge.errors import StoreUnavailable, WorkerUnknown
from bridge.protocol.service import ClientList, Worker, WorkerList
from bridge.server.clients import CLIENTS
from bridge.server.jobs import VIEWS
from bridge.server.parts import READINESS
from bridge.server.route import Access, Route, answer


async def list_clients(request: web.Request) -> web.StreamResponse:
    """Paired clients, each with what it may do and how much of it waits."""
    queues: dict[str, dict[str, int]] = {}
    with suppress(StoreUnavailable):  # who may come in is told all the same
        queues = await asyncio.to_thread(request.app[VIEWS].queue_by_client)
    states = request.app[CLIENTS].states().clients
    return answer(
        ClientList(
            clients=tuple(state.model_copy(update=queues.get(state.client_id, {})) for state in states)
        )
    )


async def list_workers(request: web.Request) -> web.StreamResponse:
    """A studio's workers; none where this computer computes itself."""
    return answer(_workers(request))


async def drain_node(request: web.Request) -> web.StreamResponse:
    """Give a node's workers nothing new; what they work on is finished."""
    return await _drain(request, draining=True)


async def resume_node(request: web.Request) -> web.StreamResponse:
    """Give a drained node work again."""
    return await _drain(request, draining=False)


async def _drain(request: web.Request, *, draining: bool) -> web.StreamResponse:
    parts, node = request.app[READINESS].parts_if_open, request.match_info["node"]
    if parts is None or parts.pool is None:
        raise WorkerUnknown("This bridge computes itself; it has no nodes.")
    await asyncio.to_thread(parts.pool.drain, node, draining=draining)
    return answer(_workers(request))


def _workers(request: web.Request) -> WorkerList:
    parts = request.app[READINESS].parts_if_open
    if parts is None or parts.pool is None:
        return WorkerList(workers=())
    busy = parts.pool.at_work
    return WorkerList(
        workers=tuple(
            Worker(
                worker=state.worker,
                node=state.node,
                host=state.host,
                device=state.device,
                healthy=state.healthy,
                problem=state.problem,
                draining=state.draining,
                checkpoints=tuple(sorted(state.checkpoints)),
                pid=state.pid,
                at_work=busy.get(state.worker, 0),
            )
            for state in parts.pool.workers
        ),
        waiting=parts.pool.waiting,
    )


ROUTES = (
    Route("GET", "/v1/clients", list_clients, access=Access.owner, gives=ClientList),
    Route("GET", "/v1/workers", list_workers, access=Access.owner, gives=WorkerList),
    Route(
        "POST",
        "/v1/workers/{node}/drain",
        drain_node,
        access=Access.owner,
        gives=WorkerList,
        errors=(WorkerUnknown,),
    ),
    Route(
        "POST",
        "/v1/workers/{node}/resume",
        resume_node,
        access=Access.owner,
        gives=WorkerList,
        errors=(WorkerUnknown,),
    ),
)
