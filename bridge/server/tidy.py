"""Disk space: what may be deleted is, every hour and on demand; serves /v1/tidy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiohttp import web

from bridge.errors import BridgeError, DiskFull, InvalidRequest, StoreUnavailable
from bridge.jobs.retention import Removal, Retention
from bridge.protocol.tidy import TidiedFile, TidyReport, TidyRequest
from bridge.server.body import read_question
from bridge.server.log import Log
from bridge.server.results import OUTPUTS
from bridge.server.route import SETTINGS, Access, Route, answer

HOUR = 3600.0
RETENTION = web.AppKey("retention", Retention)


class Housekeeper:
    """Does some chores every hour, the first time at the start."""

    def __init__(self, chores: Sequence[Callable[[], object]], log: Log) -> None:
        self._chores = chores
        self._log = log
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._live())

    async def close(self) -> None:
        """Stop, after the chore that is being done."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            for chore in self._chores:
                await asyncio.shield(asyncio.to_thread(self._do, chore))
            await asyncio.sleep(HOUR)

    def _do(self, chore: Callable[[], object]) -> None:
        try:
            chore()
        except BridgeError as error:
            self._log.logger.warning("chore put off", code=error.code, detail=error.detail)
        except Exception as error:  # the other chores, and the next hour, are still to come
            self._log.logger.error("chore failed", exc_info=error)


async def tidy(request: web.Request) -> web.StreamResponse:
    """Delete what may be deleted now, or tell what that would be."""
    asked = await read_question(request, TidyRequest)
    retention, outputs = request.app[RETENTION], request.app[OUTPUTS]
    removed = await asyncio.to_thread(retention.plan if asked.dry_run else retention.tidy)
    return answer(
        TidyReport(
            dry_run=asked.dry_run,
            files=tuple(_told(removal) for removal in removed),
            bytes=sum(removal.bytes for removal in removed),
            output_bytes=await asyncio.to_thread(retention.output_bytes),
            max_output_bytes=request.app[SETTINGS].max_output_bytes,
            free_bytes=await asyncio.to_thread(lambda: outputs.free_bytes),
        )
    )


def _told(removal: Removal) -> TidiedFile:
    return TidiedFile.model_validate(
        {name: getattr(removal, name) for name in ("folder", "name", "bytes", "reason")}
    )


ROUTES = (
    Route(
        "POST",
        "/v1/tidy",
        tidy,
        access=Access.owner,
        takes=TidyRequest,
        gives=TidyReport,
        errors=(InvalidRequest, StoreUnavailable, DiskFull),
    ),
)
