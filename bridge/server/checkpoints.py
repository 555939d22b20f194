"""Checkpoints that are known, installed or on their way; serves /v1/checkpoints.

Which bytes are trusted is decided in `bridge/checkpoints`; here are only the routes and
the downloads under way.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from bridge.errors import (
    BridgeError,
    Cancelled,
    CheckpointError,
    CheckpointForeign,
    CheckpointHashMismatch,
    CheckpointTruncated,
    CheckpointUnknown,
    CheckpointUnsafe,
    InvalidRequest,
    LicenceNotAccepted,
    NotReady,
    OutputError,
    StoreUnavailable,
    UploadIncomplete,
    UploadUnknown,
)
from bridge.jobs.names import is_device
from bridge.jobs.uploads import Uploads
from bridge.protocol.service import (
    CheckpointList,
    CheckpointRequest,
    CheckpointState,
    LicenceState,
    Reason,
    TransferState,
)
from bridge.server.body import read_question
from bridge.server.log import LOG, Log
from bridge.server.parts import READINESS
from bridge.server.route import PLACES, Access, Route, answer
from bridge.server.uploads import UPLOADS

if TYPE_CHECKING:
    from bridge.checkpoints import Checkpoints, Progress


STOP_SECONDS = 2.0
"""For downloads to notice that the bridge ends: they do with each piece that comes."""


class Transfers:
    """Downloads under way, by checkpoint; one that failed stays listed until it is begun again."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._states: dict[str, TransferState] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = threading.Event()

    def begin(self, checkpoints: Checkpoints, name: str) -> None:
        """Download in the background, unless that is going on already; terms must be accepted."""
        if name not in self._tasks:
            self._states[name] = TransferState(done=0, total=checkpoints.entry(name).bytes)
            self._tasks[name] = asyncio.get_running_loop().create_task(self._pull(checkpoints, name))

    def of(self, name: str) -> TransferState | None:
        """How far a download is; None when there is none."""
        return self._states.get(name)

    async def close(self) -> None:
        """Stop all downloads; what they have is continued by the next one.

        One that hangs in a connection is left to end with the process.
        """
        self._stopping.set()
        if tasks := list(self._tasks.values()):
            _, hanging = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)

    async def _pull(self, checkpoints: Checkpoints, name: str) -> None:
        def on_progress(progress: Progress) -> None:
            if self._stopping.is_set():
                raise Cancelled
            self._states[name] = TransferState(done=progress.done, total=progress.total)

        try:
            await _beside(lambda: checkpoints.pull(name, True, on_progress))
        except BridgeError as error:
            self._log.logger.warning("download failed", checkpoint=name, code=error.code, detail=error.detail)
            self._note(name, error)
        except Exception as error:
            # Whatever it is, the list must not show a download that goes on for ever.
            self._log.logger.error("download failed", checkpoint=name, exc_info=error)
            self._note(name, BridgeError("The download failed; the log says more."))
        else:
            del self._states[name]
            self._log.logger.info("downloaded", checkpoint=name)
        finally:
            del self._tasks[name]

    def _note(self, name: str, error: BridgeError) -> None:
        problem = Reason(code=error.code, detail=error.detail)
        self._states[name] = self._states[name].model_copy(update={"problem": problem})


async def _beside(work: Callable[[], object]) -> None:
    """Run in a thread that the process does not wait for at its end, as it does for those of a pool."""
    outcome: Future[None] = Future()
    outcome.set_running_or_notify_cancel()  # who waits may be cancelled, the thread may not

    def run() -> None:
        try:
            work()
        except BaseException as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, name="download", daemon=True).start()
    await asyncio.wrap_future(outcome)


TRANSFERS = web.AppKey("transfers", Transfers)


def states(checkpoints: Checkpoints, transfer_of: Callable[[str], TransferState | None]) -> CheckpointList:
    """All known checkpoints; reads the weights folder."""
    installed = {entry.name for entry in checkpoints.installed()}
    return CheckpointList(
        checkpoints=tuple(
            CheckpointState(
                name=entry.name,
                title=entry.title,
                summary=entry.summary,
                side=entry.side,
                bytes=entry.bytes,
                sha256=entry.sha256,
                licence=LicenceState(
                    title=entry.licence.title,
                    terms=entry.licence.terms,
                    commercial=entry.licence.commercial,
                    accepted=checkpoints.has_accepted(entry.name),
                ),
                bundled=entry.bundled,
                installed=entry.name in installed,
                transfer=transfer_of(entry.name),
            )
            for entry in checkpoints.entries()
        )
    )


async def list_checkpoints(request: web.Request) -> web.StreamResponse:
    """Installed and known checkpoints with their licences, and downloads under way."""
    checkpoints = request.app[READINESS].parts().checkpoints
    return answer(await asyncio.to_thread(states, checkpoints, request.app[TRANSFERS].of))


async def add_checkpoint(request: web.Request) -> web.StreamResponse:
    """Download a known checkpoint in the background, or import a file; terms must be accepted."""
    asked = await read_question(request, CheckpointRequest)
    checkpoints = request.app[READINESS].parts().checkpoints
    if asked.download is not None:
        entry = checkpoints.entry(asked.download)
        if not (asked.accept_licence or checkpoints.has_accepted(entry.name)):
            raise LicenceNotAccepted(f"{entry.title}: {entry.licence.title}. {entry.licence.terms.strip()}")
        request.app[TRANSFERS].begin(checkpoints, entry.name)
    elif asked.file is not None:
        path = await asyncio.to_thread(exchanged, request.app[PLACES].exchange, asked.file)
        await asyncio.to_thread(checkpoints.import_file, path, asked.accept_licence, asked.name)
        request.app[LOG].logger.info("imported", file=asked.file)
    elif asked.upload is not None:
        await asyncio.to_thread(_import_upload, request.app[UPLOADS], checkpoints, asked.upload, asked)
        request.app[LOG].logger.info("imported", upload=asked.upload)
    return answer(await asyncio.to_thread(states, checkpoints, request.app[TRANSFERS].of), 202)


def _import_upload(uploads: Uploads, checkpoints: Checkpoints, upload: str, asked: CheckpointRequest) -> None:
    """What was refused stays, so that it can be asked for again with consent or a name."""
    with uploads.under_its_name(upload) as path:
        checkpoints.import_file(path, asked.accept_licence, asked.name)
    uploads.discard(upload)


def exchanged(folder: Path, name: str) -> Path:
    """A file that lies directly in the exchange folder.

    Raises:
        InvalidRequest: the name is not a plain one, or leads out of the folder, or to no file.
    """
    # Separators, drive letters and alternate streams of any system, whatever this one is.
    if name.startswith(".") or is_device(name) or any(sign in name for sign in "/\\:\0"):
        raise InvalidRequest("file must be the plain name of a file in the exchange folder.")
    path = folder / name
    try:
        is_there = path.is_file() and path.resolve().parent == folder.resolve()
    except (OSError, ValueError):  # too long for a name; half of a surrogate pair
        is_there = False
    if not is_there:
        raise InvalidRequest(f"There is no file {name!a:.80} in the exchange folder.")
    return path


ROUTES = (
    Route(
        "GET", "/v1/checkpoints", list_checkpoints, gives=CheckpointList, errors=(NotReady, CheckpointError)
    ),
    Route(
        "POST",
        "/v1/checkpoints",
        add_checkpoint,
        access=Access.owner,
        takes=CheckpointRequest,
        gives=CheckpointList,
        status=202,
        errors=(
            NotReady,
            InvalidRequest,
            CheckpointUnknown,
            LicenceNotAccepted,
            CheckpointError,
            CheckpointForeign,
            CheckpointHashMismatch,
            CheckpointTruncated,
            CheckpointUnsafe,
            OutputError,
            UploadUnknown,
            UploadIncomplete,
            StoreUnavailable,
        ),
    ),
)
