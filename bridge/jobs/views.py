"""Rows as the wire tells them: jobs, items and what they add up to. Reads only."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bridge.errors import ItemUnknown, JobUnknown, StoreUnavailable
from bridge.jobs.job import Control, job_status
from bridge.jobs.store import Row, Store, Transaction, of_rows
from bridge.presets import Parameters
from bridge.protocol.jobs import (
    Counts,
    Eta,
    ItemDetail,
    ItemPage,
    ItemState,
    ItemStatus,
    JobList,
    JobState,
    JobStatus,
    Verdict,
)
from bridge.protocol.service import Reason

ITEM_COLUMNS = (
    "job, item, ref, source_name, state, stage, paused, attempts, error, seconds, preset, parameters, "
    "result, available, verdict, note, reviewed_at, reviewed_by, redone_as, redo_of, queued_at, finished_at, "
    "fetched_at, acked_at"
)


@dataclass(frozen=True)
class Outlook:
    """What is not in the store but belongs to a job's state.

    Attributes:
        eta: a guess for so many items; None before anything was measured.
        waiting: why nothing is worked on; None when it is.
    """

    eta: Callable[[int], Eta | None] = lambda _: None
    waiting: Callable[[], Reason | None] = lambda: None


class Views:
    """Answers from the store.

    Raises, each: StoreUnavailable; JobUnknown and ItemUnknown where something is named.
    """

    def __init__(self, store: Store, outlook: Outlook) -> None:
        self._store = store
        self._outlook = outlook

    @of_rows
    def job(self, job: str) -> JobState:
        """One job."""
        with self._store.read() as rows:
            return job_state(rows, job, self._outlook)

    @of_rows
    def jobs(
        self, *, after: str | None, limit: int, state: JobStatus | None, made_by: tuple[str, str] | None
    ) -> JobList:
        """A page of jobs, newest first, beginning behind the one named `after`.

        Args:
            made_by: client id and Idempotency-Key: only the job that they made.
        """
        found: list[JobState] = []
        unreadable: list[str] = []
        with self._store.read() as rows:
            seq = 2**62 if after is None else _job_row(rows, after)["seq"]
            where, values = "seq < ?", [seq]
            if made_by is not None:
                where, values = where + " AND client_id = ? AND idempotency_key = ?", [*values, *made_by]
            for row in rows.execute(f"SELECT * FROM jobs WHERE {where} ORDER BY seq DESC", values):
                try:
                    told = _job_state(rows, row, self._outlook)
                except StoreUnavailable:  # asked for alone, it says what is wrong
                    unreadable.append(str(row["job"]))
                    continue
                if state in (None, told.state):
                    found.append(told)
                if len(found) > limit:
                    break
        page = tuple(found[:limit])
        following = page[-1].job if len(found) > limit else None
        return JobList(jobs=page, unreadable=tuple(unreadable), next=following)

    @of_rows
    def items(
        self,
        job: str,
        *,
        after: int = -1,
        limit: int,
        state: ItemStatus | None = None,
        verdict: Verdict | None = None,
    ) -> ItemPage:
        """A page of a job's items, in order, beginning behind the number `after`."""
        where, values = "job = ? AND item > ?", [job, after]
        if state is not None:
            where, values = where + " AND state = ?", [*values, state]
        if verdict is not None:
            where, values = where + " AND verdict = ?", [*values, verdict]
        with self._store.read() as rows:
            _job_row(rows, job)
            found = rows.execute(
                f"SELECT {ITEM_COLUMNS} FROM items WHERE {where} ORDER BY item LIMIT ?",
                (*values, limit + 1),
            ).fetchall()
        page = tuple(ItemState.model_validate(_item_facts(row)) for row in found[:limit])
        return ItemPage(items=page, next=page[-1].item if len(found) > limit else None)

    @of_rows
    def item(self, job: str, item: int) -> ItemDetail:
        """One item with its faces."""
        with self._store.read() as rows:
            row = item_row(rows, job, item)
        faces = json.loads(row["faces"]) if row["faces"] else None
        return ItemDetail.model_validate({**_item_facts(row), "faces": faces})

    def owns(self, name: str, sha256: str) -> bool:
        """Whether a file of that name in the output folder is a result of ours that nobody changed."""
        with self._store.read() as rows:
            found = rows.execute(
                "SELECT json_extract(result, '$.sha256') FROM items WHERE result_name = ? AND available = 1",
                (name,),
            ).fetchall()
        return any(row[0] == sha256 for row in found)

    def client_of(self, job: str) -> str:
        """Id of the client that submitted a job.

        Raises:
            JobUnknown: there is none of that id.
        """
        with self._store.read() as rows:
            found = rows.execute("SELECT client_id FROM jobs WHERE job = ?", (job,)).fetchone()
        if found is None:
            raise JobUnknown(f"There is no job {job}.")
        return str(found[0])

    @of_rows
    def queue_by_client(self) -> dict[str, dict[str, int]]:
        """Items that are not settled, by client and state."""
        with self._store.read() as rows:
            found = rows.execute(
                "SELECT client_id, state, sum(items) FROM counted JOIN jobs USING (job) WHERE"
                " jobs.finished_at IS NULL AND state IN ('queued', 'leased') GROUP BY client_id, state"
            ).fetchall()
        queues: dict[str, dict[str, int]] = {}
        for client, state, items in found:
            queues.setdefault(client, {"queued": 0, "leased": 0})[state] = items
        return queues

    @of_rows
    def queue(self) -> dict[str, int]:
        """Items by state that are not settled, for the metrics."""
        with self._store.read() as rows:
            found = rows.execute(
                "SELECT state, sum(items) FROM counted JOIN jobs USING (job)"
                " WHERE jobs.finished_at IS NULL AND state IN ('queued', 'leased') GROUP BY state"
            )
            return {"queued": 0, "leased": 0, **{row[0]: row[1] for row in found}}


@of_rows
def job_state(rows: Transaction, job: str, outlook: Outlook) -> JobState:
    """A job as the wire tells it.

    Raises:
        JobUnknown: there is none of that id.
    """
    return _job_state(rows, _job_row(rows, job), outlook)


@of_rows
def item_state(rows: Transaction, job: str, item: int) -> ItemState:
    """An item as the wire tells it.

    Raises:
        ItemUnknown: there is none of that number.
    """
    return ItemState.model_validate(_item_facts(item_row(rows, job, item)))


def item_row(rows: Transaction, job: str, item: int) -> Row:
    """A whole row.

    Raises:
        ItemUnknown: there is none of that number.
    """
    row: Row | None = rows.execute("SELECT * FROM items WHERE job = ? AND item = ?", (job, item)).fetchone()
    if row is None:
        _job_row(rows, job)
        raise ItemUnknown(f"Job {job} has no item {item}.")
    return row


@of_rows
def counts_of(rows: Transaction, job: str) -> Counts:
    """A job's items by state."""
    total: dict[str, int] = dict.fromkeys(Counts.model_fields, 0)
    for state, paused, verdict, items, acked in rows.execute(
        "SELECT state, paused, verdict, items, iif(acked, items, 0) FROM counted WHERE job = ?",
        (job,),
    ):
        total["total"] += items
        total[state] += items
        if state == ItemStatus.queued and paused:
            total["paused"] += items
        if state == ItemStatus.done:
            total["acked"] += acked
            total["unreviewed" if verdict == Verdict.none else verdict] += items
    return Counts(**total)


def _job_row(rows: Transaction, job: str) -> Row:
    row: Row | None = rows.execute("SELECT * FROM jobs WHERE job = ?", (job,)).fetchone()
    if row is None:
        raise JobUnknown(f"There is no job {job}.")
    return row


@of_rows
def _job_state(rows: Transaction, row: Row, outlook: Outlook) -> JobState:
    counts = counts_of(rows, row["job"])
    state = job_status(Control(row["control"]), counts)
    working = state in (JobStatus.queued, JobStatus.running)
    ahead = 0
    if working:
        ahead = rows.execute(
            "SELECT ifnull(sum(items), 0) FROM jobs JOIN counted USING (job)"
            " WHERE counted.state IN ('queued', 'leased')"
            " AND jobs.finished_at IS NULL AND jobs.control = 'open'"
            " AND (jobs.interactive > ? OR jobs.interactive = ? AND jobs.seq < ?)",
            (row["interactive"], row["interactive"], row["seq"]),
        ).fetchone()[0]
    return JobState.model_validate(
        {
            **{name: row[name] for name in ("job", "client", "client_id", "name", "preset")},
            **{name: row[name] for name in ("created_at", "finished_at")},
            "parameters": json.loads(row["parameters"]),
            "output": json.loads(row["output"]),
            "priority": "interactive" if row["interactive"] else "batch",
            "state": state,
            "counts": counts,
            "eta": outlook.eta(ahead + counts.queued + counts.leased) if working else None,
            "waiting": outlook.waiting() if working else None,
        }
    )


@lru_cache(maxsize=64)
def _parameters(stored: str) -> Parameters:
    """Most photos of a batch share theirs."""
    return Parameters.model_validate_json(stored)


def _item_facts(row: Row) -> dict[str, Any]:
    """A row's columns as the fields of ItemState."""
    facts = {name: row[name] for name in ("item", "ref", "state", "attempts", "preset", "redo_of")}
    facts |= {name: row[name] for name in ("queued_at", "finished_at", "fetched_at", "acked_at", "stage")}
    result = json.loads(row["result"]) | {"available": bool(row["available"])} if row["result"] else None
    return facts | {
        "source": row["source_name"],
        "paused": bool(row["paused"]),
        "error": json.loads(row["error"]) if row["error"] else None,
        "seconds": json.loads(row["seconds"]),
        "parameters": _parameters(row["parameters"]),
        "result": result,
        "review": {
            "verdict": row["verdict"],
            "note": row["note"],
            "at": row["reviewed_at"],
            "by": row["reviewed_by"],
            "redone_as": row["redone_as"],
        },
    }
