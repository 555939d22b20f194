"""Pictures that clients send for their jobs: streamed to disk, resumable, hashed when whole.

How much has come is the length of the file itself; the store knows who sent it and, once it is
whole, its SHA-256.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from bridge.errors import BodyTooLarge, UploadIncomplete, UploadOffsetConflict, UploadUnknown
from bridge.jobs import spool
from bridge.jobs.job import now
from bridge.jobs.names import safe
from bridge.jobs.store import Row, Store
from bridge.protocol.uploads import UploadState


class Incoming:
    """A piece that is being received, open until the block of `Uploads.receive` ends."""

    def __init__(self, file: BinaryIO, offset: int, limit: int) -> None:
        self._file = file
        self._limit = limit
        self.offset = offset

    def write(self, chunk: bytes) -> None:
        """Append some bytes.

        Raises:
            BodyTooLarge: more than was announced, or than the bridge accepts.
            DiskFull, OutputError: the disk refused.
        """
        if self.offset + len(chunk) > self._limit:
            raise BodyTooLarge(f"The upload is larger than {self._limit} bytes.")
        try:
            self._file.write(chunk)
        except OSError as error:
            raise spool.named(error, Path(self._file.name).parent) from error
        self.offset += len(chunk)


class Uploads:
    """The folder of uploads.

    Raises, each: StoreUnavailable and DiskFull; UploadUnknown where an upload is named.
    """

    def __init__(self, folder: Path, store: Store, max_bytes: int) -> None:
        self.folder = folder
        self._store = store
        self._max_bytes = max_bytes
        self._receiving: set[str] = set()
        self._lock = threading.Lock()

    def create(self, client_id: str, name: str, size: int | None) -> UploadState:
        """An empty upload; `size` bytes are to come, or as many as the body has.

        Raises:
            BodyTooLarge: more than the bridge accepts.
            OutputError: the disk refused.
        """
        if size is not None and size > self._max_bytes:
            raise BodyTooLarge(f"{size} bytes were announced; at most {self._max_bytes} are accepted.")
        upload = secrets.token_hex(16)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path(upload).touch(exist_ok=False)
        except OSError as error:
            raise spool.named(error, self.folder) from error
        with self._store.write() as rows:
            rows.execute(
                "INSERT INTO uploads (upload, client_id, name, size, created_at) VALUES (?, ?, ?, ?, ?)",
                (upload, client_id, safe(name), size, now()),
            )
        return self.state(upload)

    @contextmanager
    def receive(self, upload: str, offset: int) -> Iterator[Incoming]:
        """Take a piece that begins at `offset`; what came is kept also when the block raises.

        Raises:
            UploadOffsetConflict: the upload does not end there, is whole, or receives already.
            OutputError: the disk refused.
        """
        row = self._row(upload)
        path = self.path(upload)
        with self._lock:
            there = _size(path)
            if upload in self._receiving or row["sha256"] or offset != there:
                raise UploadOffsetConflict(f"The upload has {there} bytes; the piece begins at {offset}.")
            self._receiving.add(upload)
        try:
            with path.open("ab") as file:
                try:
                    yield Incoming(file, there, row["size"] if row["size"] is not None else self._max_bytes)
                finally:
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise spool.named(error, self.folder) from error
        finally:
            with self._lock:
                self._receiving.discard(upload)

    def complete(self, upload: str) -> UploadState:
        """Mark an upload as whole if all of it has come; hashes what lies on the disk.

        Raises:
            OutputError: it cannot be read back.
        """
        row = self._row(upload)
        there = _size(self.path(upload))
        if row["sha256"] is None and row["size"] in (None, there):
            try:
                found = spool.read_back(self.path(upload))
            except OSError as error:
                raise spool.named(error, self.folder) from error
            with self._store.write() as rows:
                rows.execute(
                    "UPDATE uploads SET sha256 = ?, size = ? WHERE upload = ?",
                    (found.sha256, found.size, upload),
                )
        return self.state(upload)

    def state(self, upload: str) -> UploadState:
        """How much has come."""
        row = self._row(upload)
        return UploadState(
            upload=upload,
            name=row["name"],
            offset=_size(self.path(upload)),
            size=row["size"],
            complete=row["sha256"] is not None,
            sha256=row["sha256"],
        )

    def whole(self, upload: str) -> UploadState:
        """An upload that a job may name.

        Raises:
            UploadIncomplete: not all of it has come.
        """
        state = self.state(upload)
        if not state.complete:
            raise UploadIncomplete(f"{state.name}: {state.offset} of {state.size or '?'} bytes have come.")
        return state

    @contextmanager
    def under_its_name(self, upload: str) -> Iterator[Path]:
        """The file of a whole upload under the name that it had with the client, for as long as the block.

        Raises:
            UploadIncomplete: not all of it has come.
            OutputError: the disk refused.
        """
        state = self.whole(upload)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=f".{upload}-") as aside:
            path = Path(aside) / state.name
            try:
                try:
                    path.hardlink_to(self.path(upload))
                except OSError:  # a disk without hard links
                    shutil.copyfile(self.path(upload), path)
            except OSError as error:
                raise spool.named(error, self.folder) from error
            yield path

    def discard(self, upload: str) -> None:
        """Forget an upload that no job names."""
        with self._store.write() as rows:
            rows.execute("DELETE FROM uploads WHERE upload = ?", (upload,))
        spool.discard(self.path(upload))

    def path(self, upload: str) -> Path:
        """Where its bytes lie; the name is ours, never the client's."""
        return self.folder / upload

    def _row(self, upload: str) -> Row:
        with self._store.read() as rows:
            row: Row | None = rows.execute("SELECT * FROM uploads WHERE upload = ?", (upload,)).fetchone()
        if row is None:
            raise UploadUnknown(f"There is no upload {upload}.")
        return row


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise spool.named(error, path.parent) from error
