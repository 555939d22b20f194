"""Speaks the protocol from the other side: the command line, the demo and the tests use it.

The only other door to aiohttp beside `server/`. Problem documents become the same
BridgeError classes that the bridge raised.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ValidationError

from bridge.config import Places
from bridge.errors import BridgeError, BridgeUnreachable, MalformedFrame, ProtocolMismatch, codes
from bridge.presets import Parameters, Preset
from bridge.protocol import PROTOCOL
from bridge.protocol import frame as frames
from bridge.protocol.enhancement import EnhanceRequest, EnhanceResult, FacesRequest, FacesResult
from bridge.protocol.frame import Frame, decode_frame, encode_frame
from bridge.protocol.message import message
from bridge.protocol.picture import IMAGE, file_payload
from bridge.protocol.service import (
    CancelResult,
    Capabilities,
    CheckpointList,
    Health,
    PairCode,
    PresetBody,
    PresetList,
    Problem,
    Ready,
    Stats,
)
from bridge.server.announcement import announced, console_link

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

    async def console_link(self) -> str:
        """The console's address, which signs the owner in once, within five minutes."""
        made = await self._ask("POST", "/v1/pair/code?for=owner", PairCode, json={})
        return console_link(self._url, made.code)

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
