"""The workers' side of the queue: lease, stage, promise, settle, recover.

Every change of a leased item is a compare-and-set on its lease: a worker whose lease was taken away
(cancelled, expired, of a dead boot) changes nothing, and is told so by False.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import BridgeError, DeviceOutOfMemory
from bridge.jobs.batches import close_if_settled
from bridge.jobs.job import (
    CRASHES_BEFORE_ALONE,
    TRANSITIONS,
    Lease,
    Move,
    after_crash,
    now,
    pause_before_next,
)
from bridge.jobs.journal import Journal
from bridge.jobs.shares import Shares
from bridge.jobs.store import Row, Store, Transaction, of_rows
from bridge.presets import Parameters
from bridge.protocol.enhancement import EnhanceRequest, FaceFound
from bridge.protocol.jobs import ItemError, ItemResult, ItemStage, JobOutput, Source

LEASE_SECONDS = 900.0
"""A lease that entered no stage for so long is lost: a decoder hangs, or the disk does."""


@dataclass(frozen=True)
class Promise:
    """What will lie in the output folder once an item is published; stored before it does.

    Attributes:
        lease_id: names the file aside.
        replaces: the target may be overwritten: it is an older result of ours.
    """

    job: str
    item: int
    lease_id: str
    result: ItemResult
    faces: tuple[FaceFound, ...]
    seconds: Mapping[str, float]
    replaces: bool = False


class Queue:
    """Hands out items and takes back what became of them.

    Args:
        clock: monotonic seconds; the wall clock decides nothing here.
        first_pause: seconds before the second try of an item.

    Raises, each: StoreUnavailable and DiskFull, and nothing was changed.
    """

    def __init__(
        self, store: Store, journal: Journal, clock: Callable[[], float], *, first_pause: float
    ) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._first_pause = first_pause
        self._shares = Shares(clock)

    def lease(self, *, interactive_only: bool = False) -> Lease | None:
        """The next item to work on, now this worker's; None when nothing waits."""
        moment = self._clock()
        with self._store.read() as rows:  # most looks find nothing, and must not write
            if self._next(rows, moment, interactive_only) is None:
                return None
        with self._store.write() as rows:
            row = self._next(rows, moment, interactive_only)
            if row is None:
                return None
            lease = _lease(row, secrets.token_hex(8))
            rows.execute(
                "UPDATE items SET state = ?, lease_id = ?, lease_boot = ?, lease_until = ?, attempts = ?,"
                " alone = ?, stage = NULL WHERE job = ? AND item = ?",
                (
                    TRANSITIONS[Move.lease][1],
                    lease.lease_id,
                    self._store.boot_id,
                    moment + LEASE_SECONDS,
                    lease.attempt,
                    lease.alone,
                    lease.job,
                    lease.item,
                ),
            )
            self._journal.item_changed(rows, lease.job, lease.item)
            first = "SELECT 1 FROM items WHERE job = ? AND state <> 'queued' LIMIT 2"
            if len(rows.execute(first, (lease.job,)).fetchall()) == 1:
                self._journal.job_changed(rows, lease.job)
        self._shares.begin(lease.client_id, lease.lease_id)
        return lease

    def enter(self, lease: Lease, stage: ItemStage) -> bool:
        """A worker begins a stage; renews the lease."""
        with self._store.write() as rows:
            changed = rows.execute(
                "UPDATE items SET stage = ?, lease_until = ? WHERE lease_id = ?",
                (stage, self._clock() + LEASE_SECONDS, lease.lease_id),
            ).rowcount
            if changed:
                self._journal.stage_begun(rows, lease.job, lease.item, stage)
        return bool(changed)

    def promise(self, promise: Promise) -> bool:
        """Store what is about to be published; from now on the item can no longer be cancelled."""
        with self._store.write() as rows:
            return bool(
                rows.execute(
                    "UPDATE items SET promise = ? WHERE lease_id = ?", (_promised(promise), promise.lease_id)
                ).rowcount
            )

    def finish(self, promise: Promise) -> bool:
        """The file is published: the item is done."""
        self._shares.end(promise.lease_id)
        with self._store.write() as rows:
            if promise.replaces:
                self._forget(rows, promise.result.name)
            changed = rows.execute(
                "UPDATE items SET state = ?, lease_id = NULL, stage = NULL, promise = NULL, error = NULL,"
                " seconds = ?, result = ?, result_name = ?, result_bytes = ?, available = 1, faces = ?,"
                " finished_at = ? WHERE lease_id = ?",
                (
                    TRANSITIONS[Move.finish][1],
                    json.dumps(dict(promise.seconds)),
                    promise.result.model_dump_json(),
                    promise.result.name,
                    promise.result.size,
                    json.dumps([face.model_dump(mode="json", exclude_none=True) for face in promise.faces]),
                    now(),
                    promise.lease_id,
                ),
            ).rowcount
            if changed:
                self._settled(rows, promise.job, promise.item)
        return bool(changed)

    def fail(self, lease: Lease, error: BridgeError, seconds: Mapping[str, float]) -> float | None:
        """A try ended with an error.

        Returns:
            Seconds until the item is tried again; None when it has failed, or the lease was lost.
        """
        self._shares.end(lease.lease_id)
        pause = pause_before_next(error, lease.attempt, self._first_pause)
        _, target = TRANSITIONS[Move.fail if pause is None else Move.heal]
        with self._store.write() as rows:
            changed = rows.execute(
                "UPDATE items SET state = ?, lease_id = NULL, stage = NULL, promise = NULL, not_before = ?,"
                " error = ?, seconds = ?, finished_at = ? WHERE lease_id = ?",
                (
                    target,
                    None if pause is None else self._clock() + pause,
                    _error(error),
                    json.dumps(dict(seconds)),
                    now() if pause is None else None,
                    lease.lease_id,
                ),
            ).rowcount
            if changed:
                self._settled(rows, lease.job, lease.item)
        return pause if changed else None

    def release(self, lease: Lease) -> bool:
        """Give an item back untried."""
        self._shares.end(lease.lease_id)
        with self._store.write() as rows:
            changed = self._release(rows, lease.lease_id)
            if changed:
                self._journal.item_changed(rows, lease.job, lease.item)
        return changed

    def expire(self) -> Sequence[str]:
        """Take back the leases of this boot that nobody renewed; their ids."""
        with self._store.read() as rows:
            late = rows.execute(
                "SELECT job, item, lease_id FROM items WHERE lease_id IS NOT NULL AND promise IS NULL"
                " AND lease_boot = ? AND lease_until < ?",
                (self._store.boot_id, self._clock()),
            ).fetchall()
        if late:
            with self._store.write() as rows:
                for row in late:
                    self._shares.end(row["lease_id"])
                    self._lose(rows, item_of(rows, row["lease_id"]))
        return [row["lease_id"] for row in late]

    @of_rows
    def next_due(self) -> float | None:
        """Seconds until an item that waits for another try is due; None when none does."""
        with self._store.read() as rows:
            due = rows.execute(
                "SELECT min(not_before) FROM items JOIN jobs USING (job)"
                " WHERE state = 'queued' AND items.paused = 0 AND jobs.control = 'open' AND"
                " jobs.finished_at IS NULL AND not_before IS NOT NULL"
            ).fetchone()[0]
        return None if due is None else max(0.0, float(due) - self._clock())

    # --- after a death ----------------------------------------------------------------------

    @of_rows
    def promises(self) -> list[Promise]:
        """What dead boots promised and may have published."""
        with self._store.read() as rows:
            found = rows.execute("SELECT * FROM items WHERE lease_id IS NOT NULL AND promise IS NOT NULL")
            return [
                Promise(
                    row["job"],
                    row["item"],
                    row["lease_id"],
                    **_kept(json.loads(row["promise"])),
                )
                for row in found
                if row["lease_boot"] != self._store.boot_id
            ]

    @of_rows
    def dead_leases(self) -> list[Lease]:
        """Items that dead boots held, promised ones too."""
        with self._store.read() as rows:
            found = rows.execute(
                f"SELECT {_WITH_JOB} FROM items JOIN jobs USING (job)"
                " WHERE lease_id IS NOT NULL AND lease_boot <> ?",
                (self._store.boot_id,),
            )
            return [_lease(row, row["lease_id"]) for row in found]

    def bury(self, lease: Lease) -> None:
        """Queue an item of a dead boot again, or fail it when it killed the bridge too often."""
        with self._store.write() as rows:
            row = item_of(rows, lease.lease_id)
            if row is None:
                return
            if row["stage"] is None:
                self._release(rows, lease.lease_id)
            else:
                self._lose(rows, row)

    def forget_clocks(self) -> None:
        """Times that another boot's monotonic clock told mean nothing: whoever waited is due."""
        with self._store.write() as rows:
            rows.execute("UPDATE items SET not_before = NULL WHERE not_before IS NOT NULL")

    # --- parts ------------------------------------------------------------------------------

    def _next(self, rows: Transaction, moment: float, interactive_only: bool) -> Row | None:
        open_jobs = rows.execute(
            "SELECT job, client_id, interactive FROM jobs WHERE finished_at IS NULL AND control = 'open'"
            " ORDER BY interactive DESC, seq"
        ).fetchall()
        turn = {
            client: place
            for place, client in enumerate(self._shares.in_turn(row["client_id"] for row in open_jobs))
        }
        # Stable: a client's own jobs stay in their order.
        for row in sorted(open_jobs, key=lambda row: (-row["interactive"], turn[row["client_id"]])):
            if interactive_only and not row["interactive"]:
                break
            job = row["job"]
            for killers in (False, True):  # who is to be alone comes last, and holds nobody up
                found: Row | None = rows.execute(
                    f"SELECT {_WITH_JOB} FROM items JOIN jobs USING (job) WHERE job = ?"
                    " AND state = 'queued' AND paused = 0 AND (crashes >= ?) = ?"
                    " AND (not_before IS NULL OR not_before <= ?) ORDER BY item LIMIT 1",
                    (job, CRASHES_BEFORE_ALONE, killers, moment),
                ).fetchone()
                if found is not None:
                    return found
        return None

    def _release(self, rows: Transaction, lease_id: str) -> bool:
        changed = rows.execute(
            "UPDATE items SET state = ?, lease_id = NULL, stage = NULL, promise = NULL,"
            " attempts = max(0, attempts - 1) WHERE lease_id = ?",
            (TRANSITIONS[Move.release][1], lease_id),
        ).rowcount
        return bool(changed)

    def _lose(self, rows: Transaction, row: Row | None) -> None:
        if row is None:
            return
        error = after_crash(row["crashes"], was_alone=bool(row["alone"]))
        _, target = TRANSITIONS[Move.lose if error is None else Move.fail]
        rows.execute(
            "UPDATE items SET state = ?, lease_id = NULL, stage = NULL, promise = NULL,"
            " crashes = crashes + 1, attempts = iif(? IS NULL, max(0, attempts - 1), attempts),"
            " error = ifnull(?, error),"
            " finished_at = ? WHERE lease_id = ?",
            (
                target,
                error and error.code,
                error and _error(error),
                now() if error else None,
                row["lease_id"],
            ),
        )
        self._settled(rows, row["job"], row["item"])

    def _settled(self, rows: Transaction, job: str, item: int) -> None:
        close_if_settled(rows, job)
        self._journal.item_changed(rows, job, item)
        self._journal.job_changed(rows, job)

    def _forget(self, rows: Transaction, name: str) -> None:
        for row in rows.execute(
            "SELECT job, item FROM items WHERE result_name = ? AND available = 1", (name,)
        ).fetchall():
            rows.execute("UPDATE items SET available = 0 WHERE job = ? AND item = ?", tuple(row))
            self._journal.item_changed(rows, row["job"], row["item"])


def item_of(rows: Transaction, lease_id: str) -> Row | None:
    """The row that a lease holds; None when it holds none any more."""
    row: Row | None = rows.execute("SELECT * FROM items WHERE lease_id = ?", (lease_id,)).fetchone()
    return row


_WITH_JOB = (
    "items.*, jobs.client AS client, jobs.client_id AS client_id, jobs.created_at AS made_at,"
    " jobs.interactive AS interactive"
)


@of_rows
def _lease(row: Row, lease_id: str) -> Lease:
    given = json.loads(row["faces_given"]) if row["faces_given"] else {}
    output = JobOutput.model_validate_json(row["output"])
    question = EnhanceRequest.model_validate(
        {
            **given,
            "preset": row["preset"],
            "compose": row["compose"],
            "output": output.model_dump(include={"format", "depth", "quality"}),
        }
    )
    error: dict[str, Any] = json.loads(row["error"]) if row["error"] else {}
    return Lease(
        lease_id=lease_id,
        job=row["job"],
        item=row["item"],
        ref=row["ref"],
        source=Source.model_validate_json(row["source"]),
        source_name=row["source_name"],
        output=output,
        question=question,
        parameters=Parameters.model_validate_json(row["parameters"]),
        client=row["client"],
        client_id=row["client_id"],
        made_on=row["made_at"][:10],
        attempt=row["attempts"] + 1,
        crashes=row["crashes"],
        # Less company is what may help against a death, and against too little memory.
        alone=row["crashes"] >= CRASHES_BEFORE_ALONE
        or (row["attempts"] > 0 and error.get("code") == DeviceOutOfMemory.code),
        interactive=bool(row["interactive"]),
    )


def _promised(promise: Promise) -> str:
    return json.dumps(
        {
            "result": promise.result.model_dump(mode="json"),
            "faces": [face.model_dump(mode="json", exclude_none=True) for face in promise.faces],
            "seconds": dict(promise.seconds),
            "replaces": promise.replaces,
        }
    )


def _kept(promised: dict[str, Any]) -> dict[str, Any]:
    return promised | {
        "result": ItemResult.model_validate(promised["result"]),
        "faces": tuple(FaceFound.model_validate(face) for face in promised["faces"]),
    }


def _error(error: BridgeError) -> str:
    return ItemError(
        code=error.code,
        title=error.title,
        detail=error.detail,
        hint=error.hint,
        retryable=error.retryable,
    ).model_dump_json()
