"""The workers' side of the queue: lease, stage, promise, settle, recover.

Every change of a leased item is a compare-and-set on its lease: a worker whose lease was taken away
(cancelled, expired, of a dead boot) changes nothing, and is told so by False.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from bridge.errors import BridgeError, ItemDamaged, ItemStalled, StoreUnavailable
from bridge.jobs.batches import close_if_settled
from bridge.jobs.job import (
    CRASHES_BEFORE_ALONE,
    SETTLED,
    TRANSITIONS,
    Control,
    Lease,
    Move,
    after_crash,
    now,
    pause_before_next,
)
from bridge.jobs.journal import Journal
from bridge.jobs.leases import (
    WITH_JOB,
    Promise,
    error_text,
    lease_of,
    promise_of,
    promise_text,
)
from bridge.jobs.shares import Shares
from bridge.jobs.store import Row, Store, Transaction, undone_if_damaged
from bridge.protocol.jobs import ItemStage, ItemStatus

LEASE_SECONDS = 900.0
"""A lease whose worker entered no stage and gave no sign of life for so long is lost: a decoder hangs, or
the disk does. Each costs the photo one of its tries, and that bounds what a photo can block by hanging.

Nothing here bounds a device that hangs: who waits for it lives. It is not the photos' fault, and to take
them away would fail the whole queue, one by one. They stay leased until they are cancelled or the bridge
is started again.
"""
_NOBODY: Mapping[str, float] = MappingProxyType({})


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
            lease = None
            while lease is None and (row := self._next(rows, moment, interactive_only)) is not None:
                with undone_if_damaged(rows) as damage:
                    lease = self._take(rows, row, moment)
                if lease is None:
                    self._set_aside(rows, row, damage[0])
        if lease is not None:
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
                    "UPDATE items SET promise = ? WHERE lease_id = ?",
                    (promise_text(promise), promise.lease_id),
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
            Seconds until the item is tried again; None when it is settled, or the lease was lost.
        """
        self._shares.end(lease.lease_id)
        pause = pause_before_next(error, lease.attempt, self._first_pause)
        with self._store.write() as rows:
            state = self._end_try(rows, lease, error, pause, json.dumps(dict(seconds)))
        return pause if state is ItemStatus.queued else None

    def release(self, lease: Lease) -> bool:
        """Give an item back untried."""
        self._shares.end(lease.lease_id)
        with self._store.write() as rows:
            return self._release(rows, lease)

    def expire(self, silences: Mapping[str, float] = _NOBODY) -> Sequence[str]:
        """Take back the leases of this boot whose workers give no sign of life; their ids.

        Each was a failed try of its item, and no crash: the bridge lives.

        Args:
            silences: by lease, seconds since its worker's last sign; whoever is not named gave none.
        """
        moment = self._clock()
        with self._store.read() as rows:  # as in `lease`
            if not self._late(rows, moment):
                return []
        lost: list[str] = []
        with self._store.write() as rows:
            for row in self._late(rows, moment):
                left = LEASE_SECONDS - silences.get(row["lease_id"], LEASE_SECONDS)
                if left > 0:
                    rows.execute(
                        "UPDATE items SET lease_until = ? WHERE lease_id = ?",
                        (moment + left, row["lease_id"]),
                    )
                    continue
                lost.append(row["lease_id"])
                with undone_if_damaged(rows) as damage:
                    lease = lease_of(row, row["lease_id"])
                    error = ItemStalled(f"For {LEASE_SECONDS / 60:.0f} minutes nothing moved.")
                    pause = pause_before_next(error, row["attempts"], 0.0)
                    self._end_try(rows, lease, error, pause, row["seconds"])
                if damage:
                    self._set_aside(rows, row, damage[0])
        for lease_id in lost:
            self._shares.end(lease_id)
        return lost

    # --- after a death ----------------------------------------------------------------------

    def set_aside_damaged(self) -> None:
        """Fail what dead boots held and cannot be read any more; nothing of it is published twice."""
        with self._store.write() as rows:
            for row in rows.execute(_HELD_BY_THE_DEAD, (self._store.boot_id,)).fetchall():
                with undone_if_damaged(rows) as damage:
                    lease_of(row, row["lease_id"])
                    if row["promise"] is not None:
                        promise_of(row)
                if damage:
                    self._set_aside(rows, row, damage[0])

    def promises(self) -> list[Promise]:
        """What dead boots promised and may have published."""
        with self._store.read() as rows:
            found = rows.execute(_HELD_BY_THE_DEAD, (self._store.boot_id,))
            return [promise_of(row) for row in found if row["promise"] is not None]

    def dead_leases(self) -> list[Lease]:
        """Items that dead boots held, promised ones too."""
        with self._store.read() as rows:
            found = rows.execute(_HELD_BY_THE_DEAD, (self._store.boot_id,))
            return [lease_of(row, row["lease_id"]) for row in found]

    def bury(self, lease: Lease) -> None:
        """Queue an item of a dead boot again, or fail it when it killed the bridge too often."""
        with self._store.write() as rows:
            row = item_of(rows, lease.lease_id)
            if row is None:
                return
            if row["stage"] is None:
                self._release(rows, lease)
            else:
                self._lose(rows, row)

    def forget_clocks(self) -> None:
        """Times that another boot's monotonic clock told mean nothing: whoever waited is due."""
        with self._store.write() as rows:
            rows.execute("UPDATE items SET not_before = NULL WHERE not_before IS NOT NULL")

    # --- parts ------------------------------------------------------------------------------

    def _take(self, rows: Transaction, row: Row, moment: float) -> Lease:
        lease = lease_of(row, secrets.token_hex(8))
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
        return lease

    def _set_aside(self, rows: Transaction, row: Row, damage: StoreUnavailable) -> None:
        """Fail an item whose row cannot be read, so that it holds up nobody; no result of it is believed."""
        rows.execute(
            "UPDATE items SET state = ?, lease_id = NULL, stage = NULL, promise = NULL, not_before = NULL,"
            " error = ?, seconds = '{}', result = NULL, result_name = NULL, available = 0, faces = NULL,"
            " finished_at = ? WHERE job = ? AND item = ?",
            (
                TRANSITIONS[Move.fail][1],
                error_text(ItemDamaged(damage.detail)),
                now(),
                row["job"],
                row["item"],
            ),
        )
        self._settled(rows, row["job"], row["item"])

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
                    f"SELECT {WITH_JOB} FROM items JOIN jobs USING (job) WHERE job = ?"
                    " AND state = 'queued' AND paused = 0 AND (crashes >= ?) = ?"
                    " AND (not_before IS NULL OR not_before <= ?) ORDER BY item LIMIT 1",
                    (job, CRASHES_BEFORE_ALONE, killers, moment),
                ).fetchone()
                if found is not None:
                    return found
        return None

    def _late(self, rows: Transaction, moment: float) -> list[Row]:
        return rows.execute(
            f"SELECT {WITH_JOB} FROM items JOIN jobs USING (job) WHERE lease_id IS NOT NULL"
            " AND promise IS NULL AND lease_boot = ? AND lease_until < ?",
            (self._store.boot_id, moment),
        ).fetchall()

    def _end_try(
        self, rows: Transaction, lease: Lease, error: BridgeError, pause: float | None, seconds: str
    ) -> ItemStatus | None:
        """Queue an item again after a pause, or settle it; what it is now, None: the lease was lost."""
        target = _target(rows, lease.job, Move.fail if pause is None else Move.heal)
        changed = rows.execute(
            "UPDATE items SET state = ?, lease_id = NULL, stage = NULL, promise = NULL, not_before = ?,"
            " error = ?, seconds = ?, finished_at = ? WHERE lease_id = ?",
            (
                target,
                None if pause is None else self._clock() + pause,
                error_text(error),
                seconds,
                _ended(target),
                lease.lease_id,
            ),
        ).rowcount
        if not changed:
            return None
        self._settled(rows, lease.job, lease.item)
        return target

    def _release(self, rows: Transaction, lease: Lease) -> bool:
        target = _target(rows, lease.job, Move.release)
        changed = rows.execute(
            "UPDATE items SET state = ?, lease_id = NULL, stage = NULL, promise = NULL,"
            " attempts = max(0, attempts - 1), finished_at = ? WHERE lease_id = ?",
            (target, _ended(target), lease.lease_id),
        ).rowcount
        if changed:
            self._settled(rows, lease.job, lease.item)
        return bool(changed)

    def _lose(self, rows: Transaction, row: Row) -> None:
        error = after_crash(row["crashes"], was_alone=bool(row["alone"]))
        target = _target(rows, row["job"], Move.lose if error is None else Move.fail)
        rows.execute(
            "UPDATE items SET state = ?, lease_id = NULL, stage = NULL, promise = NULL,"
            " crashes = crashes + 1, attempts = iif(? IS NULL, max(0, attempts - 1), attempts),"
            " error = ifnull(?, error),"
            " finished_at = ? WHERE lease_id = ?",
            (
                target,
                error and error.code,
                error and error_text(error),
                _ended(target),
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


def _target(rows: Transaction, job: str, move: Move) -> ItemStatus:
    """Where a move leads: nothing of a cancelled job is queued again."""
    target = TRANSITIONS[move][1]
    if target is ItemStatus.queued:
        control = rows.execute("SELECT control FROM jobs WHERE job = ?", (job,)).fetchone()[0]
        if control == Control.cancelled:
            return TRANSITIONS[Move.cancel][1]
    return target


def _ended(state: ItemStatus) -> str | None:
    return now() if state in SETTLED else None


def item_of(rows: Transaction, lease_id: str) -> Row | None:
    """The row that a lease holds; None when it holds none any more."""
    row: Row | None = rows.execute("SELECT * FROM items WHERE lease_id = ?", (lease_id,)).fetchone()
    return row


_HELD_BY_THE_DEAD = (
    f"SELECT {WITH_JOB} FROM items JOIN jobs USING (job) WHERE lease_id IS NOT NULL AND lease_boot <> ?"
)
