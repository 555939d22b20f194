"""What changed, numbered: events are stored in the transaction of the change itself.

So a number means that the change happened, and numbers have no gaps: AUTOINCREMENT gives the next
one inside a transaction that commits whole or not at all. Old events are pruned from the far end.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.jobs.job import now
from bridge.jobs.store import Store, Transaction, undone_if_damaged
from bridge.jobs.views import Outlook, item_state, job_state
from bridge.protocol.events import ItemChanged, JobChanged, QueueChanged, StageBegun
from bridge.protocol.jobs import ItemStage
from bridge.protocol.message import Answer
from bridge.protocol.service import Reason

KEPT = 50_000
"""Events that can be resumed from: several thousand photos."""


class Journal:
    """Writes events beside changes, and reads them back in order.

    Attributes:
        outlook: what belongs to a job's state beside the store.
    """

    def __init__(self, store: Store, outlook: Outlook) -> None:
        self._store = store
        self.outlook = outlook

    def job_changed(self, rows: Transaction, job: str, *, items_changed: bool = False) -> None:
        """A job as it is at this point of the transaction."""
        with undone_if_damaged(rows):  # of what cannot be read nothing is told; the work goes on
            state = job_state(rows, job, self.outlook)
            self._append(rows, JobChanged(seq=0, at=now(), job=job, state=state, items_changed=items_changed))

    def item_changed(self, rows: Transaction, job: str, item: int) -> None:
        """An item as it is at this point of the transaction."""
        with undone_if_damaged(rows):
            self._append(rows, ItemChanged(seq=0, at=now(), job=job, state=item_state(rows, job, item)))

    def stage_begun(self, rows: Transaction, job: str, item: int, stage: ItemStage) -> None:
        """A leased item entered a stage."""
        self._append(rows, StageBegun(seq=0, at=now(), job=job, item=item, stage=stage))

    def queue_changed(self, waiting: Reason | None) -> None:
        """Work on items began or ceased.

        Raises:
            StoreUnavailable, DiskFull: it is not recorded.
        """
        with self._store.write() as rows:
            self._append(rows, QueueChanged(seq=0, at=now(), waiting=waiting))

    def newest(self) -> int:
        """Number of the newest event; 0 before the first."""
        with self._store.read() as rows:
            return _newest(rows)

    def is_complete_since(self, since: int) -> bool:
        """Whether every event after `since` is still kept."""
        with self._store.read() as rows:
            oldest: int | None = rows.execute("SELECT min(seq) FROM events").fetchone()[0]
            return since <= _newest(rows) and since >= (oldest - 1 if oldest is not None else _newest(rows))

    def since(self, seq: int, limit: int) -> Sequence[tuple[int, str]]:
        """The events after `seq`, oldest first: number and JSON."""
        with self._store.read() as rows:
            found = rows.execute(
                "SELECT seq, json_set(body, '$.seq', seq) FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
                (seq, limit),
            )
            return [(row[0], row[1]) for row in found]

    def prune(self, kept: int = KEPT) -> None:
        """Forget all but the newest events.

        Raises:
            StoreUnavailable, DiskFull: nothing was forgotten.
        """
        with self._store.write() as rows:
            rows.execute("DELETE FROM events WHERE seq <= ?", (_newest(rows) - kept,))

    def _append(self, rows: Transaction, event: Answer) -> None:
        # The number is only known once the row is there; `since` puts it into the body.
        rows.execute("INSERT INTO events (body) VALUES (?)", (event.model_dump_json(exclude_none=True),))


def _newest(rows: Transaction) -> int:
    # Not max(seq): the table may have been pruned to nothing, and numbers never begin anew.
    row = rows.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return int(row[0]) if row else 0
