"""One file from the first of several addresses that gives the right bytes.

Owns HTTP, resuming and the check of what arrived. Knows nothing of what the file is for.
"""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import Timeout

import bridge
from bridge.errors import CheckpointHashMismatch, DownloadFailed, OutputError
from bridge.locks import held
from bridge.network.digest import file_sha256

CHUNK = 1024**2
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as cut."""
LARGEST = 4 * 1024**3
"""Bytes beyond which a file of unknown size is refused: no checkpoint comes near."""


@dataclass(frozen=True)
class Progress:
    """How far a download is: `done` of `total` bytes (None: not known yet) from `source`."""

    done: int
    total: int | None
    source: str


@dataclass(frozen=True)
class Wanted:
    """What is to be fetched.

    Attributes:
        sources: addresses, tried in this order.
        bytes: size; None: not known.
        sha256: None: not known. Then what another run left behind is not continued, because
            nothing would show that it came from other bytes.
    """

    sources: Sequence[str]
    bytes: int | None
    sha256: str | None


class _Refused(Exception):
    """This source does not have what is wanted."""


class _WrongBytes(_Refused):
    """It has something else."""


class _Interrupted(Exception):
    """The connection ended early; what came so far is kept."""


def fetch(
    wanted: Wanted,
    part: Path,
    *,
    on_progress: Callable[[Progress], None],
    schemes: Sequence[str] = ("https",),
) -> str:
    """Download into `part`, continuing what is there already.

    Proxies are those of the environment. Redirects are followed within `schemes`.

    Args:
        wanted: what, and where from.
        part: complete when this returns; on failure it may hold a beginning, for the next time.
        on_progress: called after each chunk; what it raises stops the download.
        schemes: of addresses and redirects that are allowed.

    Returns:
        The SHA-256 of the file, which is `wanted.sha256` where that is known.

    Raises:
        CheckpointHashMismatch: every source gave other bytes.
        DownloadFailed: no source gave the file; or another download of it is under way.
        OutputError: it cannot be written.
    """
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with held(part.with_name(part.name + ".lock"), seconds=0):
            return _first_good(wanted, part, on_progress, schemes)
    except Timeout as error:
        raise DownloadFailed(
            "The same file is being downloaded already.", hint="Wait for the other download to end."
        ) from error
    except OSError as error:  # the network's own are named further down
        raise OutputError(f"{part} cannot be written: {error}.") from error


def _first_good(
    wanted: Wanted, part: Path, on_progress: Callable[[Progress], None], schemes: Sequence[str]
) -> str:
    opener = urllib.request.build_opener(_Redirects(schemes))
    failures: list[_Refused] = []
    for source in wanted.sources:
        if wanted.sha256 is None:
            part.unlink(missing_ok=True)
        try:
            return _from_one(source, wanted, part, on_progress, schemes, opener)
        except _Refused as refusal:
            failures.append(refusal)
    reasons = "; ".join(
        f"{urllib.parse.urlsplit(source).hostname}: {failure}"
        for source, failure in zip(wanted.sources, failures, strict=True)
    )
    if failures and all(isinstance(failure, _WrongBytes) for failure in failures):
        raise CheckpointHashMismatch(f"No source gave the right file ({reasons}).")
    raise DownloadFailed(f"No source gave the file ({reasons or 'none is known'}).")


def _from_one(
    source: str,
    wanted: Wanted,
    part: Path,
    on_progress: Callable[[Progress], None],
    schemes: Sequence[str],
    opener: urllib.request.OpenerDirector,
) -> str:
    """One source to its end: reconnecting as long as each connection brings something."""
    if urllib.parse.urlsplit(source).scheme not in schemes:
        raise _Refused(f"only {' and '.join(schemes)} addresses are used")
    fresh = not _size(part)
    while True:
        before = _size(part)
        try:
            if not before or before != wanted.bytes:
                _continue(source, wanted, part, on_progress, opener)
            return _checked(wanted, part)
        except _WrongBytes:
            part.unlink(missing_ok=True)
            if fresh:
                raise
            fresh = True  # the beginning was another source's: once more, all of it from here
        except _Interrupted as interruption:
            if _size(part) <= before:
                raise _Refused(str(interruption)) from interruption


def _continue(
    source: str,
    wanted: Wanted,
    part: Path,
    on_progress: Callable[[Progress], None],
    opener: urllib.request.OpenerDirector,
) -> None:
    """One connection: append what it brings to `part`."""
    start = _size(part)
    headers = {"User-Agent": f"gpen-bridge/{bridge.__version__}"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(source, headers=headers)  # noqa: S310 the scheme was checked by the caller
    with _open(opener, request) as response:
        if response.status != 206:
            start = 0  # the whole file comes, whatever was asked for
        elif not str(response.headers["Content-Range"]).startswith(f"bytes {start}-"):
            raise _Refused("it continued at the wrong place")
        length = response.headers["Content-Length"]
        total = start + int(length) if length else None
        limit = wanted.bytes or LARGEST
        if total is not None and (total > limit or wanted.bytes not in (None, total)):
            raise _WrongBytes(f"it has {total} bytes instead of {wanted.bytes or f'at most {LARGEST}'}")
        done = start
        with part.open("ab" if start else "wb") as file:
            for chunk in _chunks(response):
                done += len(chunk)
                if done > limit:
                    raise _WrongBytes(f"it has more than {limit} bytes")
                file.write(chunk)
                on_progress(Progress(done, total or wanted.bytes, source))
        if total is not None and done < total:
            raise _Interrupted(f"the connection ended after {done} of {total} bytes")


def _open(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> Any:
    try:
        return opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:  # what we have is longer than the file
            raise _WrongBytes("it is shorter than what was downloaded before") from error
        raise _Refused(f"it answered {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        raise _Refused(str(getattr(error, "reason", error)) or type(error).__name__) from error


def _chunks(response: IO[bytes]) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(CHUNK)
        except http.client.IncompleteRead as error:
            yield error.partial
            raise _Interrupted("the connection ended early") from error
        except (OSError, http.client.HTTPException) as error:
            raise _Interrupted(str(error) or type(error).__name__) from error
        if not chunk:
            return
        yield chunk


def _checked(wanted: Wanted, part: Path) -> str:
    size = _size(part)
    if wanted.bytes is not None and size != wanted.bytes:
        raise _Interrupted(f"it gave {size} of {wanted.bytes} bytes")
    found = file_sha256(part)
    if wanted.sha256 not in (None, found):
        raise _WrongBytes(f"its SHA-256 is {found}")
    return found


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects within some schemes only."""

    def __init__(self, schemes: Sequence[str]) -> None:
        self._schemes = schemes

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not re.match(rf"(?:{'|'.join(map(re.escape, self._schemes))})://", newurl):
            fp.close()
            raise _Refused(f"it redirects to an address that is not {' or '.join(self._schemes)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
