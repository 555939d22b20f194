"""Who is who: the owner, paired clients and their tokens; serves /v1/clients.

Only hashes of tokens are kept. Which route needs whom is said in the route table.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from bridge.atomic import write_file
from bridge.errors import ClientUnknown, ConfigInvalid, OutputError
from bridge.protocol.proof import name_of, secret_of
from bridge.protocol.service import ClientList, ClientState, PairResult, Right
from bridge.server.route import Access, Route

TOKEN_BYTES = 32
OWNER_ID = "owner"


Standing = Literal["owner", "client"]
"""The owner may do everything; a client all but what is the owner's alone."""
EVERY_RIGHT: tuple[Right, ...] = get_args(Right)
USUAL_RIGHTS: tuple[Right, ...] = ("submit", "review")
"""Of a client that was paired without naming any."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: str
    client: str
    name: str
    paired_at: str
    token_sha256: str
    standing: Standing = "client"
    rights: tuple[Right, ...] = USUAL_RIGHTS

    @property
    def may(self) -> tuple[Right, ...]:
        """What it may do."""
        return EVERY_RIGHT if self.standing == "owner" else self.rights

    def state(self) -> ClientState:
        """As the wire tells it: without the token's hash."""
        return ClientState(**self.model_dump(exclude={"token_sha256", "rights"}), rights=self.may)


class _Records(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: tuple[_Record, ...] = ()


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        kind: the owner reads bridge.json, or signed in to the console; a client was paired.
        client_id: "owner" or the id in the list of clients.
    """

    kind: Standing
    client_id: str
    rights: frozenset[Right] = frozenset(EVERY_RIGHT)

    @property
    def is_local(self) -> bool:
        """Whether it brought the token of bridge.json, which never leaves this computer."""
        return self.client_id == OWNER_ID


class Clients:
    """The paired clients of one data folder.

    Args:
        path: clients.json.
        owner_token: what bridge.json carries.

    Raises:
        ConfigInvalid: clients.json exists and cannot be read.
    """

    def __init__(self, path: Path, owner_token: str) -> None:
        self._path = path
        self._lock = threading.Lock()  # saving happens in worker threads
        self._owner = secret_of(owner_token)
        try:
            self._records = _Records.model_validate_json(path.read_bytes()).clients
        except FileNotFoundError:
            self._records = ()
        except (OSError, ValidationError) as error:
            raise ConfigInvalid(
                f"{path} cannot be read: {error}.", hint="Delete it; every plug-in must then be paired again."
            ) from error

    def caller(self, token: str) -> Caller | None:
        """Who owns a token; the time it takes tells nothing about which one comes close."""
        digest = secret_of(token)
        found = Caller("owner", OWNER_ID) if hmac.compare_digest(digest, self._owner) else None
        for record in self._records:
            if hmac.compare_digest(digest, record.token_sha256):
                found = Caller(record.standing, record.client_id, frozenset(record.may))
        return found

    def secret_named(self, name: str) -> str | None:
        """The secret that the bridge shares with a caller, by what it is called on the wire."""
        secrets_kept = (self._owner, *(record.token_sha256 for record in self._records))
        return next((secret for secret in secrets_kept if name_of(secret) == name), None)

    def name_of(self, caller: Caller) -> str:
        """What people call a caller: the name given in pairing, or `owner`."""
        names = {record.client_id: record.name for record in self._records}
        return names.get(caller.client_id, caller.client_id)

    def add(
        self,
        client: str,
        name: str,
        standing: Standing = "client",
        rights: tuple[Right, ...] = USUAL_RIGHTS,
    ) -> PairResult:
        """A new client with a fresh token, saved.

        Raises:
            OutputError: clients.json cannot be written; nothing changed.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        record = _Record(
            client_id=secrets.token_hex(8),
            client=client,
            name=name,
            paired_at=datetime.now(UTC).isoformat(timespec="seconds"),
            token_sha256=secret_of(token),
            standing=standing,
            rights=rights,
        )
        with self._lock:
            self._save((*self._records, record))
        return PairResult(token=token, client_id=record.client_id, standing=standing, rights=record.may)

    def remove(self, client_id: str) -> None:
        """Revoke a client's token at once.

        Raises:
            ClientUnknown: there is no such client.
            OutputError: clients.json cannot be written; nothing changed.
        """
        with self._lock:
            kept = tuple(record for record in self._records if record.client_id != client_id)
            if len(kept) == len(self._records):
                raise ClientUnknown(f"No client has the id {client_id}.")
            self._save(kept)

    def states(self) -> ClientList:
        """All paired clients, oldest first."""
        return ClientList(clients=tuple(record.state() for record in self._records))

    def _save(self, records: tuple[_Record, ...]) -> None:
        write_file(self._path, _Records(clients=records).model_dump_json(indent=1).encode(), private=True)
        self._records = records


CLIENTS = web.AppKey("clients", Clients)


async def revoke_client(request: web.Request) -> web.StreamResponse:
    """Revoke a client: its token is refused from now on."""
    await asyncio.to_thread(request.app[CLIENTS].remove, request.match_info["client_id"])
    return web.Response(status=204)


ROUTES = (
    Route(
        "DELETE",
        "/v1/clients/{client_id}",
        revoke_client,
        access=Access.itself,
        errors=(ClientUnknown, OutputError),
    ),
)
