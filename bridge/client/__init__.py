"""Speaks the protocol from the other side: the command line, the demo and the tests use it.

The only other door to aiohttp beside `server/`. Problem documents become the same
BridgeError classes that the bridge raised.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel

from bridge.client.connection import Connection, parsed
from bridge.client.events import follow
from bridge.client.results import save
from bridge.client.uploads import upload
from bridge.config import Places
from bridge.errors import BridgeUnreachable, MalformedFrame, ProtocolMismatch
from bridge.presets import Parameters, Preset
from bridge.protocol import PROTOCOL
from bridge.protocol import frame as frames
from bridge.protocol.enhancement import EnhanceRequest, EnhanceResult, FacesRequest, FacesResult
from bridge.protocol.frame import Frame, decode_frame, encode_frame
from bridge.protocol.jobs import (
    MAX_PAGE,
    ItemDetail,
    ItemPage,
    ItemResult,
    ItemsRequest,
    ItemState,
    JobList,
    JobRequest,
    JobState,
    RetryRequest,
)
from bridge.protocol.message import message
from bridge.protocol.picture import IMAGE, file_payload
from bridge.protocol.reviews import ReviewRequest, ReviewResult, ReviewSummary
from bridge.protocol.service import (
    CancelResult,
    Capabilities,
    CheckpointList,
    Health,
    PairCode,
    PresetBody,
    PresetList,
    Ready,
    Stats,
    WorkerList,
)
from bridge.protocol.tidy import TidyReport, TidyRequest
from bridge.protocol.uploads import UploadState
from bridge.server.announcement import announced, console_link

REQUEST_ID = "GPEN-Request-Id"
Verb = Literal["cancel", "pause", "resume"]


@dataclass(frozen=True)
class EnhancedPicture:
    """An enhanced file and what was done to it."""

    data: bytes
    media_type: str
    result: EnhanceResult


class Client:
    """One bridge, over one session: `async with Client.from_announcement(places) as bridge`.

    Every method raises BridgeUnreachable when nothing answers, and else what the bridge raised.

    Args:
        url: base address.
        token: the owner's or a paired client's.
    """

    def __init__(self, url: str, token: str) -> None:
        self._connection = Connection(url, token)

    @classmethod
    def from_announcement(cls, places: Places) -> Client:
        """A client of the bridge that bridge.json names.

        Raises:
            BridgeUnreachable: there is no bridge.json.
            ProtocolMismatch: that bridge speaks another protocol.
        """
        found = announced(places)
        if found is None:
            raise BridgeUnreachable(f"{places.announcement} does not exist: no bridge is running.")
        if found.protocol != PROTOCOL:
            raise ProtocolMismatch(f"The bridge speaks protocol {found.protocol}, this program {PROTOCOL}.")
        return cls(found.url, found.token)

    async def __aenter__(self) -> Self:
        await self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    async def health(self) -> Health:
        """Whether and how the bridge is."""
        return await self._connection.health()

    async def ready(self) -> Ready:
        """Whether it takes pictures, and if not, why."""
        return await self._connection.ask("GET", "/v1/ready", Ready)

    async def capabilities(self) -> Capabilities:
        """What it can do."""
        return await self._connection.ask("GET", "/v1/capabilities", Capabilities)

    async def stats(self) -> Stats:
        """Throughput and stage times."""
        return await self._connection.ask("GET", "/v1/stats", Stats)

    async def checkpoints(self) -> CheckpointList:
        """Installed and known checkpoints."""
        return await self._connection.ask("GET", "/v1/checkpoints", CheckpointList)

    async def presets(self) -> PresetList:
        """Built-in and user presets."""
        return await self._connection.ask("GET", "/v1/presets", PresetList)

    async def put_preset(self, name: str, parameters: Parameters) -> Preset:
        """Create or replace a user preset."""
        path = f"/v1/presets/{quote(name, safe='')}"
        return await self._connection.ask("PUT", path, Preset, PresetBody(parameters=parameters))

    async def console_link(self) -> str:
        """The console's address, which signs the owner in once, within five minutes."""
        made = await self._connection.ask("POST", "/v1/pair/code", PairCode, query={"for": "owner"})
        return console_link(self._connection.url, made.code)

    async def pair_code(self, rights: str) -> PairCode:
        """A code that pairs a client with these rights: submit, review, admin, with commas."""
        query = {"for": "client", "rights": rights}
        return await self._connection.ask("POST", "/v1/pair/code", PairCode, query=query)

    async def workers(self) -> WorkerList:
        """A studio's workers."""
        return await self._connection.ask("GET", "/v1/workers", WorkerList)

    async def drain(self, node: str, *, resume: bool = False) -> WorkerList:
        """Give a node nothing new, or work again."""
        path = f"/v1/workers/{quote(node, safe='')}/{'resume' if resume else 'drain'}"
        return await self._connection.ask("POST", path, WorkerList)

    async def cancel(self, request_id: str) -> CancelResult:
        """Stop a running request of this client."""
        return await self._connection.ask("POST", f"/v1/requests/{request_id}/cancel", CancelResult)

    async def faces(self, data: bytes, request: FacesRequest | None = None) -> FacesResult:
        """The faces of an image file."""
        answered = await self.exchange("/v1/faces", _file_frame(data, request or FacesRequest()))
        return parsed(FacesResult, answered.header.message)

    async def enhance(
        self, data: bytes, request: EnhanceRequest, *, request_id: str | None = None
    ) -> EnhancedPicture:
        """Enhance an image file."""
        answered = await self.exchange("/v1/enhance", _file_frame(data, request), request_id=request_id)
        image = next((payload for payload in answered.header.payloads if payload.name == IMAGE), None)
        if image is None or image.kind != "file":
            raise MalformedFrame("The bridge answered without an image file.")
        result = parsed(EnhanceResult, answered.header.message)
        return EnhancedPicture(bytes(answered.views[IMAGE]), image.media_type, result)

    # --- batches ----------------------------------------------------------------------------

    async def upload(self, path: Path) -> UploadState:
        """Send a file for a job, streamed; a connection that breaks is taken up again where it broke.

        Raises:
            SourceMissing, SourceUnreadable: the file cannot be read, or changed meanwhile.
        """
        return await upload(self._connection, path)

    async def submit(self, request: JobRequest, *, idempotency_key: str | None = None) -> JobState:
        """Store a batch, or find the one that this key made."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return await self._connection.ask("POST", "/v1/jobs", JobState, request, headers=headers)

    async def add(self, job: str, request: ItemsRequest) -> JobState:
        """Add photos to a batch; a `ref` that it has already is left alone."""
        return await self._connection.ask("POST", f"{_job(job)}/items", JobState, request)

    async def jobs(self, *, after: str | None = None, limit: int = 100) -> JobList:
        """A page of batches, newest first."""
        return await self._connection.ask("GET", "/v1/jobs", JobList, query={"after": after, "limit": limit})

    async def find(self, idempotency_key: str) -> JobState | None:
        """The batch that this key made before."""
        found = await self._connection.ask("GET", "/v1/jobs", JobList, query={"key": idempotency_key})
        return found.jobs[0] if found.jobs else None

    async def job(self, job: str) -> JobState:
        """One batch."""
        return await self._connection.ask("GET", _job(job), JobState)

    async def items(self, job: str, **filters: str) -> AsyncIterator[ItemState]:
        """All photos of a batch, page by page; `state` and `review` narrow them down."""
        after: int | None = None
        while True:
            query = {**filters, "after": after, "limit": MAX_PAGE}
            page = await self._connection.ask("GET", f"{_job(job)}/items", ItemPage, query=query)
            for item in page.items:
                yield item
            if (after := page.next) is None:
                return

    async def item(self, job: str, item: int) -> ItemDetail:
        """One photo of a batch, with its faces."""
        return await self._connection.ask("GET", _item(job, item), ItemDetail)

    async def steer(self, job: str, verb: Verb) -> JobState:
        """Cancel, pause or resume a batch."""
        return await self._connection.ask("POST", f"{_job(job)}/{verb}", JobState)

    async def steer_item(self, job: str, item: int, verb: Verb) -> ItemState:
        """Cancel, pause or resume one photo."""
        return await self._connection.ask("POST", f"{_item(job, item)}/{verb}", ItemState)

    async def retry(self, job: str, request: RetryRequest) -> JobState:
        """Run failed photos of a batch again."""
        return await self._connection.ask("POST", f"{_job(job)}/retry", JobState, request)

    async def retry_item(self, job: str, item: int, request: RetryRequest) -> ItemState:
        """Run one failed photo again."""
        return await self._connection.ask("POST", f"{_item(job, item)}/retry", ItemState, request)

    async def save_result(
        self, job: str, item: int, result: ItemResult, targets: Iterable[Path], *, aside: str | None = None
    ) -> Path:
        """Stream a finished file to its place: whole and with the right SHA-256, or not at all.

        Args:
            targets: names in one folder; the first that nothing has is taken, none is overwritten.
            aside: names the unfinished file, for `results.sweep`; None: the job does.

        Raises:
            ItemNotDone, ResultGone: there is nothing to fetch.
            DiskFull, OutputError: it could not be written, or came damaged; nothing is left.
        """
        async with self._connection.answer("GET", f"{_item(job, item)}/result") as response:
            return await save(response.content, aside or job, result, targets)

    async def acknowledge(self, job: str, item: int) -> ItemState:
        """Say that a result was written back."""
        return await self._connection.ask("POST", f"{_item(job, item)}/ack", ItemState)

    async def review(self, job: str, item: int, request: ReviewRequest) -> ReviewResult:
        """A person's verdict; `redo` queues the photo again."""
        return await self._connection.ask("POST", f"{_item(job, item)}/review", ReviewResult, request)

    async def reviews(self) -> ReviewSummary:
        """Acceptance by preset."""
        return await self._connection.ask("GET", "/v1/reviews", ReviewSummary)

    async def reviews_csv(self) -> bytes:
        """Every finished photo with its verdict, as CSV."""
        async with self._connection.answer("GET", "/v1/reviews.csv") as response:
            return await response.read()

    async def tidy(self, *, dry_run: bool) -> TidyReport:
        """Delete what may be deleted, or tell what that would be."""
        return await self._connection.ask("POST", "/v1/tidy", TidyReport, TidyRequest(dry_run=dry_run))

    def events(self, since: int | None = None) -> AsyncGenerator[dict[str, Any]]:
        """What changes, as it changes, from behind the event `since`; without gap or repeat, also when the
        connection breaks.

        Begins with a `hello`; another one comes only when events were lost: read jobs and items afresh.

        Raises:
            Unauthorized: the token does not open (any more).
            BridgeUnreachable: the bridge stays away.
        """
        return follow(self._connection, since)

    async def exchange(self, path: str, frame: bytes, *, request_id: str | None = None) -> Frame:
        """Send a frame, get a frame."""
        headers = {"Content-Type": frames.MEDIA_TYPE}
        if request_id is not None:
            headers[REQUEST_ID] = request_id
        async with self._connection.answer("POST", path, data=frame, headers=headers) as response:
            return decode_frame(await response.read())


def _file_frame(data: bytes, request: BaseModel) -> bytes:
    # The bridge looks at the bytes, not at the type that someone claims.
    return encode_frame("request", message(request), [file_payload(IMAGE, data, "application/octet-stream")])


def _job(job: str) -> str:
    return f"/v1/jobs/{quote(job, safe='')}"


def _item(job: str, item: int) -> str:
    return f"{_job(job)}/items/{item}"
