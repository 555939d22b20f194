"""What this user has agreed to and come to trust: `trusted.json` in the weights folder.

Owns consents (whose terms were accepted, and when) and records (which bytes a name stands for, from
the first use on). A record outlives its file: the same name never quietly becomes other bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Self

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from bridge.atomic import write_file
from bridge.checkpoints.manifest import CheckpointName, Entry, Licence, Sha256
from bridge.errors import CheckpointError, OutputError, TrustUnreadable
from bridge.locks import held
from bridge.network.digest import file_sha256


@dataclass(frozen=True)
class Stamp:
    """A file as it was when it was trusted.

    Attributes:
        file: its name.
        bytes: its size.
        sha256: of its content.
    """

    file: str
    bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256

    @classmethod
    def of(cls, path: Path) -> Self:
        """A file as it is now.

        Raises:
            CheckpointError: it cannot be read.
        """
        try:
            return cls(path.name, path.stat().st_size, file_sha256(path))
        except OSError as error:
            raise CheckpointError(f"{path.name} cannot be read: {error.strerror}.") from error


@dataclass(frozen=True)
class Record:
    """What a name stands for.

    Attributes:
        published: the file as it came; None for a bundled one.
        stored: the file in the weights folder (converted, where that was needed) or, for a bundled
            one, in the product.
        own: how the user's own checkpoint is driven; None: as the manifest says.
    """

    published: Stamp | None
    stored: Stamp
    own: Entry | None = None


@dataclass(frozen=True)
class Consent:
    """An acceptance of terms.

    Attributes:
        licence: its id.
        terms_sha256: of the text that was shown; other terms must be accepted anew.
        at: time in UTC.
    """

    licence: str
    terms_sha256: Sha256
    at: datetime


@dataclass(frozen=True)
class Trust:
    """The whole of `trusted.json`, by checkpoint name."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    consents: dict[CheckpointName, Consent] = field(default_factory=dict)
    records: dict[CheckpointName, Record] = field(default_factory=dict)

    def has_accepted(self, entry: Entry) -> bool:
        """Whether the entry's terms, as they read today, need no consent or were accepted."""
        consent = self.consents.get(entry.name)
        return not entry.licence.consent or (
            consent is not None and consent.terms_sha256 == _digest(entry.licence)
        )

    def accepting(self, entry: Entry) -> Trust:
        """With the acceptance of the entry's terms, now."""
        consent = Consent(entry.licence.id, _digest(entry.licence), datetime.now(UTC))
        return replace(self, consents=self.consents | {entry.name: consent})

    def recording(self, name: str, record: Record) -> Trust:
        """With another record for a name."""
        return replace(self, records=self.records | {name: record})


class TrustFile:
    """`trusted.json`, shared by every process of this user.

    Args:
        folder: the weights folder; made when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "trusted.json"
        self._lock = folder / "trusted.lock"

    def read(self) -> Trust:
        """What it says now; nothing where it does not exist.

        Raises:
            CheckpointError: it is damaged. It is left as it is: forgetting what was trusted would
                let another file take its place.
            TrustUnreadable: the system does not let us read it now.
        """
        try:
            return _format.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Trust()
        except OSError as error:
            raise TrustUnreadable(f"{self._path} cannot be read: {error.strerror or error}.") from error
        except ValidationError as error:
            raise CheckpointError(
                f"{self._path} is damaged: {error}",
                hint="Delete it, then pull or import your checkpoints again.",
            ) from error

    def update(self, change: Callable[[Trust], Trust]) -> Trust:
        """Read, change, write back whole or not at all, and return it; others wait meanwhile.

        Raises:
            CheckpointError, TrustUnreadable: as `read`.
            OutputError: it cannot be written.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with held(self._lock):
                changed = change(self.read())
                write_file(self._path, _format.dump_json(changed, indent=2))
                return changed
        except OSError as error:
            raise OutputError(f"{self._path} cannot be written: {error}.") from error


def _digest(licence: Licence) -> str:
    return hashlib.sha256(licence.terms.encode()).hexdigest()


_format: TypeAdapter[Trust] = TypeAdapter(Trust)
