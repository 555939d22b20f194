"""The store with one cell that no version of the bridge wrote: a disk's fault, a hand's, or a stranger's.

The first byte of a case names the cell, the rest is what it holds.
"""

from __future__ import annotations

import functools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from bridge.errors import BridgeError
from bridge.jobs.audit import AuditLog
from bridge.jobs.batches import Batches, Submission
from bridge.jobs.journal import Journal
from bridge.jobs.leases import Promise
from bridge.jobs.outputs import Outputs
from bridge.jobs.queue import Queue
from bridge.jobs.retention import Retention, Rules
from bridge.jobs.reviews import Reviews
from bridge.jobs.store import Store
from bridge.jobs.uploads import Uploads
from bridge.jobs.views import Outlook, Views
from bridge.presets import Parameters
from bridge.protocol.jobs import ItemResult, JobRequest

CELLS = tuple(
    (table, column, row)
    for table, columns, rows in (
        ("jobs", "parameters output created_at control preset finished_at", (1,)),
        (
            "items",
            "source source_name output preset parameters faces_given compose state paused attempts"
            " crashes not_before lease_id lease_boot stage promise error seconds result result_name"
            " result_bytes faces verdict redo_of finished_at fetched_at acked_at",
            (1, 2, 3),
        ),
        ("uploads", "upload name size sha256 created_at", (1,)),
        ("events", "body", (1,)),
        ("counted", "items", (1,)),
    )
    for column in columns.split()
    for row in rows
)


@functools.cache
def _template() -> Path:
    """A store with a done, a leased and a queued item of a dead boot, and an upload."""
    home = Path(tempfile.mkdtemp(prefix="gpen-rows-"))
    store = Store(home / "jobs.sqlite")
    journal = Journal(store, Outlook())
    queue = Queue(store, journal, lambda: 1000.0, first_pause=1)
    upload = Uploads(home / "uploads", store, 10**6).create("owner", "anna.png", 4)
    items = [{"ref": str(number), "source": {"path": f"{number}.png"}} for number in range(2)]
    items.append({"ref": "2", "source": {"upload": upload.upload}})
    asked = JobRequest.parse({"items": items, "name": "Wedding"})
    Batches(store, journal, lambda _: None).submit(
        Submission(asked, "owner", Parameters(), ["0.png", "1.png", "anna.png"])
    )
    for kept in (True, False):
        lease = queue.lease()
        assert lease is not None
        queue.enter(lease, "read")
        result = ItemResult(
            name="0-GPEN.png",
            path="/nowhere/0-GPEN.png",
            media_type="image/png",
            size=4,
            sha256="0" * 64,
            width=9,
            height=7,
            found=0,
            restored=0,
        )
        promise = Promise(lease.job, lease.item, lease.lease_id, result, (), {"read": 0.1})
        queue.promise(promise)
        if kept:
            queue.finish(promise)
    store.close()
    return home


@functools.cache
def row_seeds() -> list[bytes]:
    """Every cell with what it holds, and the values that harm where they are believed."""
    rows = sqlite3.connect(_template() / "jobs.sqlite")
    found = []
    for index, (table, column, row) in enumerate(CELLS):
        value = rows.execute(f"SELECT {column} FROM {table} LIMIT 1 OFFSET ?", (row - 1,)).fetchone()[0]  # noqa: S608
        found.append(bytes([index]) + str("" if value is None else value).encode())
        if column in ("result_name", "source", "result", "promise", "upload"):
            found.append(bytes([index]) + b"../../../etc/passwd")
            found.append(bytes([index]) + b'{"path": "/etc/passwd"}')
    rows.close()
    return found


def attack_row(data: bytes) -> None:
    """Everything that reads the store, on a copy with that cell.

    Raises:
        AssertionError: something outside the folders would be read or deleted.
    """
    with tempfile.TemporaryDirectory(prefix="gpen-row-") as folder:
        home = Path(folder)
        shutil.copyfile(_template() / "jobs.sqlite", home / "jobs.sqlite")
        _set_cell(home / "jobs.sqlite", data)
        try:
            store = Store(home / "jobs.sqlite")
        except BridgeError:
            return
        try:
            _use(store, home)
        finally:
            store.close()


def _set_cell(path: Path, data: bytes) -> None:
    table, column, row = CELLS[(data[0] if data else 0) % len(CELLS)]
    try:
        value: object = data[1:].decode()
    except UnicodeDecodeError:
        value = data[1:]
    rows = sqlite3.connect(path)
    try:
        rows.execute("PRAGMA ignore_check_constraints = ON")
        where = "" if table == "counted" else f" WHERE rowid = {row}"
        rows.execute(f"UPDATE OR IGNORE {table} SET {column} = ?{where}", (value,))  # noqa: S608 - ours
        rows.commit()
    except sqlite3.Error:
        pass  # a constraint, or a trigger, that kept it out
    finally:
        rows.close()


def _use(store: Store, home: Path) -> None:
    journal, views = Journal(store, Outlook()), Views(store, Outlook())
    queue = Queue(store, journal, lambda: 2000.0, first_pause=1)
    outputs = Outputs(home / "outputs", queue, views.owns)
    outputs.root.mkdir()
    job = _first_job(store)
    rules = Rules(max_output_bytes=0, keep_days=0)
    retention = Retention(store, journal, outputs, home / "uploads", home / "exchange", rules)
    reviews = Reviews(store, journal, Batches(store, journal, lambda _: None))

    def planned() -> None:
        for removal in retention.plan():
            assert removal.path.resolve().is_relative_to(home.resolve()), removal

    readers: list[Callable[[], object]] = [
        lambda: views.jobs(after=None, limit=10, state=None, made_by=None),
        lambda: views.items(job, limit=10),
        *(lambda number=number: views.item(job, number) for number in range(3)),
        lambda: views.owns("0-GPEN.png", "0" * 64),
        lambda: list(reviews.csv()),
        reviews.summary,
        lambda: journal.since(0, 100),
        lambda: journal.is_complete_since(0),
        planned,
        outputs.recover,
        queue.lease,
        queue.expire,
        lambda: AuditLog(home / "audit").catch_up(store),
        planned,
    ]
    for read in readers:
        try:
            read()
        except BridgeError:
            continue


def _first_job(store: Store) -> str:
    with store.read() as rows:
        return str(rows.execute("SELECT job FROM jobs").fetchone()[0])
