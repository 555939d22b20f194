"""The clients' side of the queue: submit, add, cancel, pause, resume, retry, acknowledge.

Each verb is one transaction and can be repeated; what it changes, it also tells (see `journal.py`).
Whoever works on an item is not asked: its lease is taken away, and the runner is told.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bridge.errors import IdempotencyConflict, ItemNotDone
from bridge.jobs.job import TRANSITIONS, Control, Move, now
from bridge.jobs.journal import Journal
from bridge.jobs.names import check_template
from bridge.jobs.store import Store, Transaction
from bridge.jobs.views import counts_of, item_row, item_state, job_state
from bridge.presets import Parameters
from bridge.protocol.enhancement import ParameterChanges
from bridge.protocol.jobs import (
    ItemRequest,
    ItemState,
    ItemStatus,
    JobRequest,
    JobState,
    RetryRequest,
)


@dataclass(frozen=True)
class Submission:
    """A request with what its caller had to look up.

    Attributes:
        base: the preset's parameters, as they are now.
        names: file names of the sources, in the items' order.
        idempotency_key: of the header; None where there was none.
    """

    request: JobRequest
    client_id: str
    base: Parameters
    names: Sequence[str]
    idempotency_key: str | None = None


class Batches:
    """Changes jobs on behalf of clients.

    Args:
        on_cancelled: told the leases that were taken away, after the transaction.

    Raises, each: StoreUnavailable and DiskFull, and nothing was changed; JobUnknown and ItemUnknown.
    """

    def __init__(self, store: Store, journal: Journal, on_cancelled: Callable[[Sequence[str]], None]) -> None:
        self._store = store
        self._journal = journal
        self._on_cancelled = on_cancelled

    def find(self, client_id: str, idempotency_key: str, request: JobRequest) -> JobState | None:
        """The job that a key made before.

        Raises:
            IdempotencyConflict: it was made by another request.
        """
        with self._store.read() as rows:
            return self._find(rows, client_id, idempotency_key, request)

    def submit(self, submission: Submission) -> JobState:
        """Store a new job, or find the one that this Idempotency-Key made.

        Raises:
            InvalidRequest: a template that cannot be filled in.
            IdempotencyConflict: the key belongs to another request.
        """
        request = submission.request
        for output in {request.output, *(item.output for item in request.items if item.output)}:
            check_template(output.template)
        job = secrets.token_hex(8)
        parameters = request.params.onto(submission.base)
        with self._store.write() as rows:
            if (key := submission.idempotency_key) is not None:
                # Here, where no other submission can come between the look and the row.
                found = self._find(rows, submission.client_id, key, request)
                if found is not None:
                    return found
            rows.execute(
                "INSERT INTO jobs (job, client_id, client, name, preset, parameters, output, interactive,"
                " created_at, idempotency_key, request_sha256) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (
                    job,
                    submission.client_id,
                    request.client,
                    request.name,
                    request.preset,
                    parameters.model_dump_json(),
                    request.output.model_dump_json(),
                    request.priority == "interactive",
                    now(),
                    key,
                    _fingerprint(request),
                ),
            )
            self._insert(rows, job, request.items, submission.names)
            self._journal.job_changed(rows, job, items_changed=True)
        with self._store.read() as rows:
            return job_state(rows, job, self._journal.outlook)

    def add(self, job: str, items: Sequence[ItemRequest], names: Sequence[str]) -> JobState:
        """More items for a job; a `ref` that it has already is left alone.

        Raises:
            InvalidRequest: a template that cannot be filled in.
        """
        for item in items:
            if item.output:
                check_template(item.output.template)
        with self._store.write() as rows:
            job_state(rows, job, self._journal.outlook)
            self._insert(rows, job, items, names)
            _reopen(rows, job)
            self._journal.job_changed(rows, job, items_changed=True)
            return job_state(rows, job, self._journal.outlook)

    def pause(self, job: str, item: int | None = None) -> None:
        """Lease nothing more of a job, or not this item; what is worked on is finished."""
        with self._store.write() as rows:
            if item is None:
                self._control(rows, job, Control.paused)
            else:
                self._hold(rows, job, item, paused=True)

    def resume(self, job: str, item: int | None = None) -> None:
        """End a pause."""
        with self._store.write() as rows:
            if item is None:
                self._control(rows, job, Control.open)
            else:
                self._hold(rows, job, item, paused=False)

    def cancel(self, job: str, item: int | None = None) -> None:
        """Drop what is queued and stop what is worked on; what is being published is finished."""
        states, target = TRANSITIONS[Move.cancel]
        with self._store.write() as rows:
            job_state(rows, job, self._journal.outlook)
            where = "job = ? AND state IN (?, ?) AND promise IS NULL"
            values: list[object] = [job, *sorted(states)]
            if item is not None:
                item_row(rows, job, item)
                where, values = where + " AND item = ?", [*values, item]
            found = rows.execute(f"SELECT item, lease_id FROM items WHERE {where}", values).fetchall()
            rows.execute(
                f"UPDATE items SET state = ?, lease_id = NULL, stage = NULL, paused = 0, finished_at = ?"
                f" WHERE {where}",
                (target, now(), *values),
            )
            if item is None:
                rows.execute("UPDATE jobs SET control = 'cancelled' WHERE job = ?", (job,))
            elif found:
                self._journal.item_changed(rows, job, item)
            close_if_settled(rows, job)
            if found or item is None:
                self._journal.job_changed(rows, job, items_changed=item is None)
        self._on_cancelled([row["lease_id"] for row in found if row["lease_id"]])

    def retry(
        self, job: str, request: RetryRequest, base: Parameters | None, item: int | None = None
    ) -> None:
        """Queue failed or cancelled items again, also with other parameters.

        Args:
            base: parameters of the preset that the request names; None: each item's own.
        """
        _, target = TRANSITIONS[Move.retry]
        states = sorted(set(request.states))
        with self._store.write() as rows:
            job_state(rows, job, self._journal.outlook)
            where = f"job = ? AND state IN ({', '.join('?' * len(states))})"
            values: list[object] = [job, *states]
            if item is not None:
                item_row(rows, job, item)
                where, values = where + " AND item = ?", [*values, item]
            found = rows.execute(
                f"SELECT item, preset, parameters FROM items WHERE {where}",
                values,
            ).fetchall()
            for row in found:
                own = base or Parameters.model_validate_json(row["parameters"])
                rows.execute(
                    "UPDATE items SET state = ?, attempts = 0, crashes = 0, not_before = NULL, paused = 0,"
                    " promise = NULL, audited = 0, finished_at = NULL, queued_at = ?, preset = ?,"
                    " parameters = ?"
                    " WHERE job = ? AND item = ?",
                    (
                        target,
                        now(),
                        request.preset or row["preset"],
                        request.params.onto(own).model_dump_json(),
                        job,
                        row["item"],
                    ),
                )
            if found:
                _reopen(rows, job)
                if item is not None:
                    self._journal.item_changed(rows, job, item)
                self._journal.job_changed(rows, job, items_changed=item is None)

    def redo(
        self,
        rows: Transaction,
        job: str,
        item: int,
        preset: str | None,
        base: Parameters | None,
        params: ParameterChanges,
    ) -> int:
        """Queue a finished photo again as a new item of its job, inside a transaction; its number."""
        row = item_row(rows, job, item)
        own = base or Parameters.model_validate_json(row["parameters"])
        number = _next_item(rows, job)
        rows.execute(
            "INSERT INTO items (job, item, ref, source, source_name, upload, output, preset, parameters,"
            " faces_given, compose, state, redo_of, queued_at)"
            " SELECT job, ?, ref, source, source_name, upload, output, ?, ?, faces_given, compose,"
            " 'queued', item, ? FROM items WHERE job = ? AND item = ?",
            (number, preset or row["preset"], params.onto(own).model_dump_json(), now(), job, item),
        )
        _reopen(rows, job)
        self._journal.item_changed(rows, job, number)
        return number

    def acknowledge(self, job: str, item: int) -> ItemState:
        """The result was written back by a client.

        Raises:
            ItemNotDone: there is none.
        """
        return self._mark(job, item, "acked_at")

    def fetched(self, job: str, item: int) -> ItemState:
        """The result was downloaded whole.

        Raises:
            ItemNotDone: there is none.
        """
        return self._mark(job, item, "fetched_at")

    def _find(self, rows: Transaction, client_id: str, key: str, request: JobRequest) -> JobState | None:
        row = rows.execute(
            "SELECT job, request_sha256 FROM jobs WHERE client_id = ? AND idempotency_key = ?",
            (client_id, key),
        ).fetchone()
        if row is None:
            return None
        if row["request_sha256"] != _fingerprint(request):
            raise IdempotencyConflict(f"This key made the job {row['job']} of another request.")
        return job_state(rows, row["job"], self._journal.outlook)

    def _mark(self, job: str, item: int, column: str) -> ItemState:
        with self._store.write() as rows:
            row = item_row(rows, job, item)
            if row["state"] != ItemStatus.done:
                raise ItemNotDone(f"Item {item} of job {job} is {row['state']}.")
            if row[column] is None:
                rows.execute(f"UPDATE items SET {column} = ? WHERE job = ? AND item = ?", (now(), job, item))
                self._journal.item_changed(rows, job, item)
            return item_state(rows, job, item)

    def _insert(
        self, rows: Transaction, job: str, items: Sequence[ItemRequest], names: Sequence[str]
    ) -> None:
        own = rows.execute("SELECT preset, parameters, output FROM jobs WHERE job = ?", (job,)).fetchone()
        parameters = Parameters.model_validate_json(own["parameters"])
        taken = {row[0] for row in rows.execute("SELECT ref FROM items WHERE job = ?", (job,))}
        number, moment = _next_item(rows, job), now()
        for request, name in zip(items, names, strict=True):
            if request.ref in taken:
                continue
            asked = request.params.onto(parameters)
            if request.select is not None:
                asked = asked.model_copy(update={"select": request.select})
            faces = request.model_dump_json(include={"faces"}) if request.faces is not None else None
            rows.execute(
                "INSERT INTO items (job, item, ref, source, source_name, upload, output, preset, parameters,"
                " faces_given, compose, state, queued_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    job,
                    number,
                    request.ref,
                    request.source.model_dump_json(exclude_none=True),
                    name,
                    request.source.upload,
                    request.output.model_dump_json() if request.output else own["output"],
                    own["preset"],
                    asked.model_dump_json(),
                    faces,
                    request.compose,
                    ItemStatus.queued,
                    moment,
                ),
            )
            number += 1

    def _control(self, rows: Transaction, job: str, control: Control) -> None:
        job_state(rows, job, self._journal.outlook)
        changed = rows.execute(
            "UPDATE jobs SET control = ? WHERE job = ? AND control <> ? AND finished_at IS NULL",
            (control, job, control),
        ).rowcount
        if changed:
            self._journal.job_changed(rows, job)

    def _hold(self, rows: Transaction, job: str, item: int, *, paused: bool) -> None:
        if item_row(rows, job, item)["state"] not in (ItemStatus.queued, ItemStatus.leased):
            return
        rows.execute("UPDATE items SET paused = ? WHERE job = ? AND item = ?", (paused, job, item))
        self._journal.item_changed(rows, job, item)
        self._journal.job_changed(rows, job)


def close_if_settled(rows: Transaction, job: str) -> None:
    """Stamp a job as finished when none of its items is left."""
    counts = counts_of(rows, job)
    if counts.queued + counts.leased == 0:
        rows.execute("UPDATE jobs SET finished_at = ? WHERE job = ? AND finished_at IS NULL", (now(), job))


def _reopen(rows: Transaction, job: str) -> None:
    """Let what is queued in a job be worked on; a job that is paused stays so."""
    rows.execute(
        # A pause or a cancel that a finished job still carries was about what it had then.
        "UPDATE jobs SET finished_at = NULL,"
        " control = iif(control = 'cancelled' OR finished_at IS NOT NULL, 'open', control)"
        " WHERE job = ? AND EXISTS (SELECT 1 FROM items WHERE job = ? AND state = 'queued')",
        (job, job),
    )


def _next_item(rows: Transaction, job: str) -> int:
    return int(
        rows.execute("SELECT ifnull(max(item), -1) + 1 FROM items WHERE job = ?", (job,)).fetchone()[0]
    )


def _fingerprint(request: JobRequest) -> str:
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()
