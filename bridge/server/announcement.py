"""bridge.json: how a plug-in on this computer finds the bridge and proves that it is the owner's.

Written when the bridge listens, removed when it stops; knows nothing of HTTP.
"""

from __future__ import annotations

from contextlib import suppress

from pydantic import BaseModel, ConfigDict, ValidationError

from bridge.atomic import persisting, private_folder, write_file
from bridge.config import Places


class Announcement(BaseModel):
    """The content of bridge.json.

    Attributes:
        url: base address, without a slash at its end.
        token: the owner's token, new at each start: 32 random bytes, base64url.
        exchange_dir: absolute path of the exchange folder.
        pid: process id of the bridge.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    token: str
    protocol: int
    version: str
    exchange_dir: str
    pid: int


def announce(places: Places, announcement: Announcement) -> None:
    """Write bridge.json, readable by its owner only.

    Raises:
        OutputError: it cannot be written.
    """
    private_folder(places.announcement.parent)
    write_file(places.announcement, announcement.model_dump_json(indent=1).encode(), private=True)


def announced(places: Places) -> Announcement | None:
    """What bridge.json says; None when it is missing or not ours. It may be stale."""
    try:
        return Announcement.model_validate_json(places.announcement.read_bytes())
    except (OSError, ValidationError):
        return None


def withdraw(places: Places, announcement: Announcement) -> None:
    """Remove bridge.json if it is still the one that was written."""
    if announced(places) == announcement:
        clear(places)


def clear(places: Places) -> None:
    """Remove bridge.json, ours or left over; one that cannot be removed is replaced by the next bridge."""
    with suppress(OSError):
        persisting(lambda: places.announcement.unlink(missing_ok=True))


def console_link(url: str, code: str) -> str:
    """The console's address with a code that signs in; browsers keep a fragment to themselves."""
    return f"{url}/#code={code}"
