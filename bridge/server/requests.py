"""Pictures being worked on: admission, the pool of threads, cancelling; serves /v1/requests.

The one place where asyncio meets threads for heavy work. A disconnect cancels the
handler (`handler_cancellation` is on); that sets the request's event, and its slot is
given back only when its thread has really ended.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from aiohttp import web

from bridge.errors import Busy, Cancelled, NotReady, RequestIdInUse, RequestUnknown
from bridge.protocol.service import CancelResult
from bridge.server.clients import Caller
from bridge.server.guard import CALLER
from bridge.server.parameters import Text
from bridge.server.route import METRICS, Route, answer

HEADER = "GPEN-Request-Id"
REQUEST_ID = Text(
    HEADER,
    "A UUID under which the request can be cancelled; a disconnect stops it too.",
    pattern="[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}",
    form="a UUID",
)
CANCEL_SECONDS = 0.5
"""How long work that was told to stop may take to do so before its client is answered."""
T = TypeVar("T")


class Admission:
    """One admitted request.

    Attributes:
        request_id: UUID, the client's or ours.
        caller: only this one and the owner may cancel it.
        cancelled: travels down with the work; whoever finds it set raises `Cancelled`.
    """

    def __init__(self, request_id: str, caller: Caller, pool: ThreadPoolExecutor) -> None:
        self.request_id = request_id
        self.caller = caller
        self.cancelled = threading.Event()
        self._stopped = asyncio.Event()
        self._pool = pool
        self._work: Future[Any] | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """Run heavy work in a thread and wait for it.

        Raises:
            Cancelled: `cancel` was called. Work that does not look up (a decoder, a network pass) is
                not waited for: nothing of it will be sent. Its slot stays taken until it has ended.
            asyncio.CancelledError: the client has gone; the work has been told so.
        """
        if self._stopped.is_set():  # while the body was read
            raise Cancelled
        self._work = future = self._pool.submit(work)
        working = asyncio.wrap_future(future)
        # Whoever waited may have gone when it fails; asyncio would complain that nobody asked.
        working.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await asyncio.wait((working,), timeout=CANCEL_SECONDS)
            if working.done():
                return working.result()
            raise Cancelled
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            stopped.cancel()

    def cancel(self) -> None:
        """Tell the work to stop, and whoever waits for it; from the event loop's thread."""
        self.cancelled.set()
        self._stopped.set()

    def when_ended(self, then: Callable[[], None]) -> None:
        """Call `then` once no thread works for this request: now, or from its thread."""
        if self._work is None:
            then()
        else:
            self._work.add_done_callback(lambda _: then())


class Requests:
    """Pictures, each in a thread of its own.

    Args:
        limit: how many at once.
        one_client: how many of them may be one client's; None: all.
    """

    def __init__(self, limit: int, one_client: int | None = None) -> None:
        self._limit = limit
        self._one_client = one_client or limit
        self._pool = ThreadPoolExecutor(limit, thread_name_prefix="picture")
        self._running: dict[str, Admission] = {}
        self._lock = threading.Lock()
        self._draining = False

    @property
    def in_flight(self) -> int:
        """How many are being worked on."""
        return len(self._running)

    @contextmanager
    def admit(self, request_id: str, caller: Caller) -> Iterator[Admission]:
        """A slot for one picture, until the block and its work have ended.

        Raises:
            Busy: all slots are taken, or this client's.
            RequestIdInUse: a running request has this id.
            NotReady: the bridge is stopping.
        """
        admission = Admission(request_id, caller, self._pool)
        with self._lock:
            if self._draining:
                raise NotReady("The bridge is stopping.")
            if len(self._running) >= self._limit:
                raise Busy(f"{self._limit} pictures are being worked on.")
            own = sum(one.caller.client_id == caller.client_id for one in self._running.values())
            if own >= self._one_client:
                raise Busy(f"{own} pictures of this client are being worked on.")
            if request_id in self._running:
                raise RequestIdInUse(f"Request {request_id} is still running.")
            self._running[request_id] = admission
        try:
            yield admission
        finally:
            admission.when_ended(lambda: self._release(admission))

    def cancel(self, request_id: str, caller: Caller) -> None:
        """Tell a running request to stop.

        Raises:
            RequestUnknown: no such request runs, or it is another client's.
        """
        admission = self._running.get(request_id)
        if admission is None or (caller.kind != "owner" and caller != admission.caller):
            raise RequestUnknown(f"No request {request_id} is running.")
        admission.cancel()

    async def drain(self, seconds: float) -> None:
        """Admit nothing more, let the running ones finish, cancel them after `seconds`, and close."""
        self._draining = True
        deadline = asyncio.get_running_loop().time() + seconds
        while self._running and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)
        for admission in list(self._running.values()):
            admission.cancel()
        await asyncio.to_thread(self._pool.shutdown)

    def _release(self, admission: Admission) -> None:
        with self._lock:
            self._running.pop(admission.request_id, None)


REQUESTS = web.AppKey("requests", Requests)


@contextmanager
def admitted(request: web.Request) -> Iterator[Admission]:
    """Admit a request under the id that it brings, or a fresh one.

    Raises:
        InvalidRequest: the id is not a UUID.
        Busy, RequestIdInUse, NotReady: as `Requests.admit`.
    """
    request_id = str(uuid.UUID(REQUEST_ID.read(request.headers) or str(uuid.uuid4())))
    in_flight = request.app[METRICS].in_flight
    with request.app[REQUESTS].admit(request_id, request[CALLER]) as admission, in_flight.track_inprogress():
        yield admission


async def cancel_request(request: web.Request) -> web.StreamResponse:
    """Stop a running request; it ends within a second or one network pass."""
    request.app[REQUESTS].cancel(request.match_info["request_id"].lower(), request[CALLER])
    return answer(CancelResult())


ROUTES = (
    Route(
        "POST",
        "/v1/requests/{request_id}/cancel",
        cancel_request,
        gives=CancelResult,
        errors=(RequestUnknown,),
    ),
)
