"""The durable truth: one SQLite file, and the only door to sqlite3.

Owns connection, transactions, migrations and the boot id. What the rows mean is said in `job.py` and
done in `batches.py` and `queue.py`. WAL with synchronous FULL: what `write` returned from survives a
power cut, as far as the disk keeps its word. Must lie on a local disk.
"""

from __future__ import annotations

import functools
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ParamSpec, TypeAlias, TypeVar

from bridge.errors import BridgeError, DiskFull, StoreUnavailable
from bridge.jobs.job import now
from bridge.jobs.schema import MIGRATIONS

BUSY_SECONDS = 5.0
"""How long a transaction waits for another process that holds the file."""

Transaction: TypeAlias = sqlite3.Connection
Row: TypeAlias = sqlite3.Row


class Store:
    """The store of one data folder, open until `close`; may be used from any thread.

    One connection writes, one reads, each behind a lock: WAL lets them run side by side.

    Attributes:
        boot_id: names this run of the bridge; leases of other boots are dead.
        crashed: the boot before this one did not end cleanly; `check` should say yes to it.

    Raises:
        StoreUnavailable: the file is locked, damaged, or of a newer version.
        DiskFull: there is no room for it.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self._path = path
        self._busy = busy_seconds
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self.boot_id = secrets.token_hex(8)
        with self._named():
            self._writer = self._connect()
            try:
                self._reader = self._connect()
                self._migrate()
                self.crashed = self._begin_boot()
            except BaseException:
                self._writer.close()
                raise

    def on_commit(self, listener: Callable[[], None]) -> None:
        """Call `listener`, from whichever thread wrote, after every commit."""
        self._listeners.append(listener)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that is committed at the end of the block and undone when it raises.

        Raises:
            StoreUnavailable, DiskFull: nothing was changed.
        """
        with self._write_lock, self._named():
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
        for listener in self._listeners:
            listener()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A connection to read from, in one consistent snapshot.

        Raises:
            StoreUnavailable: the file cannot be read.
        """
        with self._read_lock, self._named():
            self._reader.execute("BEGIN")
            try:
                yield self._reader
            finally:
                if self._reader.in_transaction:
                    self._reader.execute("ROLLBACK")

    def close(self) -> None:
        """Mark the boot as ended and close; nothing may be asked afterwards."""
        with self._write_lock, self._read_lock, self._named():
            try:
                self._writer.execute("UPDATE boots SET ended_cleanly = 1 WHERE boot_id = ?", (self.boot_id,))
                self._reader.close()
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self._reader.close()
                self._writer.close()

    def check(self) -> None:
        """Look for damage, which takes longer the more is stored; everybody else goes on meanwhile.

        Raises:
            StoreUnavailable: something is damaged.
        """
        with self._named(), closing(self._connect()) as connection:
            problems = [row[0] for row in connection.execute("PRAGMA quick_check(3)") if row[0] != "ok"]
            problems += [
                f"a row of {row[0]} refers to nothing"
                for row in connection.execute("PRAGMA foreign_key_check")
            ]
        if problems:
            raise StoreUnavailable(f"{self._path} is damaged: {problems[0]}.", hint=_DAMAGED)

    def backup(self, target: Path) -> None:
        """Write a consistent copy to a file that does not exist yet; the store may be in use."""
        with self._read_lock, self._named():
            self._reader.execute("VACUUM INTO ?", (str(target),))

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=self._busy, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _migrate(self) -> None:
        version: int = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version > len(MIGRATIONS):
            raise StoreUnavailable(
                f"{self._path} was written by a newer version of the bridge.",
                hint="Update the bridge, or move the file away to begin with an empty queue.",
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            # executescript commits by itself, so the transaction is part of the script.
            self._writer.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")

    def _begin_boot(self) -> bool:
        self._writer.execute("BEGIN IMMEDIATE")
        unclean = self._writer.execute("SELECT 1 FROM boots WHERE NOT ended_cleanly").fetchone() is not None
        self._writer.execute("DELETE FROM boots")
        self._writer.execute("INSERT INTO boots (boot_id, started_at) VALUES (?, ?)", (self.boot_id, now()))
        self._writer.execute("COMMIT")
        return unclean

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Failures of SQLite by our names; ours pass through."""
        try:
            yield
        except sqlite3.Error as error:
            raise _named(error, self._path) from error


P = ParamSpec("P")
R = TypeVar("R")


def of_rows(reading: Callable[P, R]) -> Callable[P, R]:
    """A function that makes sense of rows: what no version of the bridge wrote is damage, by that name."""

    @functools.wraps(reading)
    def named(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return reading(*args, **kwargs)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise StoreUnavailable(f"A row of the store is damaged: {reason}.", hint=_DAMAGED) from error

    return named


@contextmanager
def undone_if_damaged(rows: Transaction) -> Iterator[list[StoreUnavailable]]:
    """A part of a transaction that is undone if a row turns out to be damaged; then the list holds why.

    Inside a transaction only damage is called StoreUnavailable: what SQLite raises gets its name outside.
    """
    damage: list[StoreUnavailable] = []
    rows.execute("SAVEPOINT one")
    try:
        yield damage
    except StoreUnavailable as error:
        rows.execute("ROLLBACK TO one")
        damage.append(error)
    rows.execute("RELEASE one")


_DAMAGED = "Put back a backup, or move the file away to begin with an empty queue."


def _text(cell: bytes) -> str | bytes:
    """A cell of text; one that is not UTF-8 is damage of its row, not of the store: it is read as a blob."""
    try:
        return cell.decode()
    except UnicodeDecodeError:
        return cell


def _named(error: sqlite3.Error, path: Path) -> BridgeError:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return DiskFull(f"{path} could not grow: the disk is full.")
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreUnavailable(f"{path} is damaged: {error}.", hint=_DAMAGED)
    return StoreUnavailable(f"{path}: {error}.")
