"""Speaks the protocol from the other side: the command line, the demo and the tests use it.

The only other door to aiohttp beside `server/`. Problem documents become the same
BridgeError classes that the bridge raised.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ValidationError

from bridge.config import Places
from bridge.errors import (
    BridgeError,
    BridgeUnreachable,
    MalformedFrame,
    ProtocolMismatch,
    SourceUnreadable,
    codes,
)
from bridge.presets import Parameters, Preset
from bridge.protocol import PROTOCOL
from bridge.protocol import frame as frames
from bridge.protocol.enhancement import EnhanceRequest, EnhanceResult, FacesRequest, FacesResult
from bridge.protocol.events import Subscribe
from bridge.protocol.frame import Frame, decode_frame, encode_frame
from bridge.protocol.jobs import (
    ItemPage,
    ItemsRequest,
    ItemState,
    JobList,
    JobRequest,
    JobState,
    RetryRequest,
)
from bridge.protocol.message import message
from bridge.protocol.picture import IMAGE, file_payload
from bridge.protocol.service import (
    CancelResult,
    Capabilities,
    CheckpointList,
    Health,
    PresetBody,
    PresetList,
    Problem,
    Ready,
    Stats,
)
from bridge.protocol.tidy import TidyReport, TidyRequest
from bridge.protocol.uploads import UploadState
from bridge.server.announcement import announced

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""For everything but pictures, which take as long as they take."""
REQUEST_ID = "GPEN-Request-Id"

M = TypeVar("M", bound=BaseModel)


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
        self._url = url.rstrip("/")
        self._token = token
        self._session: aiohttp.ClientSession | None = None

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
        # No trust_env: a proxy in the environment must never see what goes to loopback.
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def health(self) -> Health:
        """Whether and how the bridge is."""
        return await self._ask("GET", "/v1/health", Health)

    async def ready(self) -> Ready:
        """Whether it takes pictures, and if not, why."""
        return await self._ask("GET", "/v1/ready", Ready)

    async def capabilities(self) -> Capabilities:
        """What it can do."""
        return await self._ask("GET", "/v1/capabilities", Capabilities)

    async def stats(self) -> Stats:
        """Throughput and stage times."""
        return await self._ask("GET", "/v1/stats", Stats)

    async def checkpoints(self) -> CheckpointList:
        """Installed and known checkpoints."""
        return await self._ask("GET", "/v1/checkpoints", CheckpointList)

    async def presets(self) -> PresetList:
        """Built-in and user presets."""
        return await self._ask("GET", "/v1/presets", PresetList)

    async def put_preset(self, name: str, parameters: Parameters) -> Preset:
        """Create or replace a user preset."""
        path = f"/v1/presets/{quote(name, safe='')}"
        return await self._ask("PUT", path, Preset, json=message(PresetBody(parameters=parameters)))

    async def cancel(self, request_id: str) -> CancelResult:
        """Stop a running request of this client."""
        return await self._ask("POST", f"/v1/requests/{request_id}/cancel", CancelResult, json={})

    async def faces(self, data: bytes, request: FacesRequest | None = None) -> FacesResult:
        """The faces of an image file."""
        answered = await self.exchange("/v1/faces", _file_frame(data, request or FacesRequest()))
        return _parsed(FacesResult, answered.header.message)

    async def enhance(
        self, data: bytes, request: EnhanceRequest, *, request_id: str | None = None
    ) -> EnhancedPicture:
        """Enhance an image file."""
        answered = await self.exchange("/v1/enhance", _file_frame(data, request), request_id=request_id)
        image = next((payload for payload in answered.header.payloads if payload.name == IMAGE), None)
        if image is None or image.kind != "file":
            raise MalformedFrame("The bridge answered without an image file.")
        result = _parsed(EnhanceResult, answered.header.message)
        return EnhancedPicture(bytes(answered.views[IMAGE]), image.media_type, result)

    # --- batches ----------------------------------------------------------------------------

    async def upload(self, path: Path) -> UploadState:
        """Send a file for a job, from the disk.

        Raises:
            SourceUnreadable: the file cannot be read.
        """
        headers = {"Content-Type": "application/octet-stream", "GPEN-File-Name": quote(path.name)}
        try:
            with path.open("rb") as file:
                async with self._answer("POST", "/v1/uploads", data=file, headers=headers) as response:
                    return _parsed(UploadState, await response.json())
        except OSError as error:
            if isinstance(error, aiohttp.ClientError):
                raise
            raise SourceUnreadable(f"{path} cannot be read: {error.strerror or error}.") from error

    async def submit(self, request: JobRequest, *, idempotency_key: str | None = None) -> JobState:
        """Store a batch, or find the one that this key made."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        return await self._ask("POST", "/v1/jobs", JobState, json=message(request), headers=headers)

    async def add(self, job: str, request: ItemsRequest) -> JobState:
        """Add photos to a batch."""
        return await self._ask("POST", f"/v1/jobs/{quote(job)}/items", JobState, json=message(request))

    async def jobs(self, *, after: str | None = None, limit: int = 100) -> JobList:
        """A page of batches, newest first."""
        query = {"limit": str(limit)} | ({"after": after} if after else {})
        return await self._ask("GET", "/v1/jobs", JobList, params=query)

    async def find(self, idempotency_key: str) -> JobState | None:
        """The batch that this key made before."""
        found = await self._ask("GET", "/v1/jobs", JobList, params={"key": idempotency_key})
        return found.jobs[0] if found.jobs else None

    async def job(self, job: str) -> JobState:
        """One batch."""
        return await self._ask("GET", f"/v1/jobs/{quote(job, safe='')}", JobState)

    async def items(self, job: str, **filters: str) -> AsyncIterator[ItemState]:
        """All photos of a batch, page by page; `state` and `review` narrow them down."""
        after: int | None = -1
        while after is not None:
            query = {**filters, "limit": "500"} | ({"after": str(after)} if after >= 0 else {})
            path = f"/v1/jobs/{quote(job, safe='')}/items"
            page = await self._ask("GET", path, ItemPage, params=query)
            for item in page.items:
                yield item
            after = page.next

    async def steer(self, job: str, verb: Literal["cancel", "pause", "resume"]) -> JobState:
        """Cancel, pause or resume a batch."""
        return await self._ask("POST", f"/v1/jobs/{quote(job, safe='')}/{verb}", JobState, json={})

    async def retry(self, job: str, request: RetryRequest) -> JobState:
        """Run failed photos of a batch again."""
        path = f"/v1/jobs/{quote(job, safe='')}/retry"
        return await self._ask("POST", path, JobState, json=message(request))

    async def result(self, job: str, item: int) -> bytes:
        """A finished file."""
        async with self._answer("GET", f"/v1/jobs/{quote(job, safe='')}/items/{item}/result") as response:
            return await response.read()

    async def acknowledge(self, job: str, item: int) -> ItemState:
        """Say that a result was written back."""
        return await self._ask("POST", f"/v1/jobs/{quote(job, safe='')}/items/{item}/ack", ItemState, json={})

    async def tidy(self, *, dry_run: bool) -> TidyReport:
        """Delete what may be deleted, or tell what that would be."""
        return await self._ask("POST", "/v1/tidy", TidyReport, json=message(TidyRequest(dry_run=dry_run)))

    async def reviews_csv(self) -> bytes:
        """Every finished photo with its verdict, as CSV."""
        async with self._answer("GET", "/v1/reviews.csv") as response:
            return await response.read()

    async def events(self, since: int | None = None) -> AsyncIterator[dict[str, Any]]:
        """What changes, as it changes, from behind the event `since`; ends when the bridge does."""
        if self._session is None:
            raise RuntimeError("use the client inside `async with`")
        greeting = message(Subscribe(token=self._token, since=since))
        try:
            async with self._session.ws_connect(f"{self._url}/v1/events", heartbeat=30) as socket:
                await socket.send_json(greeting)
                async for received in socket:
                    if received.type is aiohttp.WSMsgType.TEXT:
                        yield json.loads(received.data)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BridgeUnreachable(f"{self._url} does not answer: {error}.") from error

    async def exchange(self, path: str, frame: bytes, *, request_id: str | None = None) -> Frame:
        """Send a frame, get a frame."""
        headers = {"Content-Type": frames.MEDIA_TYPE}
        if request_id is not None:
            headers[REQUEST_ID] = request_id
        async with self._answer("POST", path, data=frame, headers=headers) as response:
            return decode_frame(await response.read())

    async def _ask(self, method: str, path: str, model: type[M], **body: Any) -> M:
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        async with self._answer(method, path, timeout=timeout, **body) as response:
            return _parsed(model, await response.json())

    @asynccontextmanager
    async def _answer(self, method: str, path: str, **body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        if self._session is None:
            raise RuntimeError("use the client inside `async with`")
        try:
            async with self._session.request(method, self._url + path, **body) as response:
                if response.status >= 400:
                    raise _error_from(await response.read(), response.status)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise BridgeUnreachable(f"{self._url} does not answer: {reason}.") from error


def _file_frame(data: bytes, request: BaseModel) -> bytes:
    # The bridge looks at the bytes, not at the type that someone claims.
    return encode_frame("request", message(request), [file_payload(IMAGE, data, "application/octet-stream")])


def _parsed(model: type[M], content: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ProtocolMismatch(f"The bridge's answer is not a {model.__name__}.") from error


def _error_from(body: bytes, status: int) -> BridgeError:
    """What the bridge raised, as the same class; BridgeError where the code is not known here."""
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        return BridgeUnreachable(f"Something that is not the bridge answered {status}.")
    return codes().get(problem.code, BridgeError)(problem.detail, hint=problem.hint)
