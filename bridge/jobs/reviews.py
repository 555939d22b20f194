"""What people said about finished photos, and what that says about presets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator

from bridge.errors import ItemNotDone
from bridge.jobs.batches import Batches
from bridge.jobs.job import now
from bridge.jobs.journal import Journal
from bridge.jobs.store import Row, Store, of_rows
from bridge.jobs.views import item_row, item_state
from bridge.presets import Parameters
from bridge.protocol.jobs import ItemStatus, Verdict
from bridge.protocol.reviews import PresetAcceptance, ReviewRequest, ReviewResult, ReviewSummary

COLUMNS = (
    *("job", "job_name", "item", "ref", "source", "client", "result", "preset"),
    *("strength", "denoise", "sharpen", "mode", "select", "checkpoint"),
    *("found", "restored", "finished_at", "acked_at", "verdict", "note", "reviewed_at", "reviewed_by"),
    *("redo_of", "redone_as"),
)
"""Of the CSV, one line for each finished item."""
PAGE = 500


class Reviews:
    """Verdicts in the store.

    Raises, each: StoreUnavailable and DiskFull; JobUnknown and ItemUnknown where something is named.
    """

    def __init__(self, store: Store, journal: Journal, batches: Batches) -> None:
        self._store = store
        self._journal = journal
        self._batches = batches

    def review(
        self, job: str, item: int, request: ReviewRequest, *, by: str, base: Parameters | None
    ) -> ReviewResult:
        """Record a verdict; `redo` queues the photo again. Repeating one changes nothing.

        Args:
            base: parameters of the preset that a redo names; None: those that the item had.

        Raises:
            ItemNotDone: there is no result to judge.
        """
        with self._store.write() as rows:
            row = item_row(rows, job, item)
            if row["state"] != ItemStatus.done:
                raise ItemNotDone(f"Item {item} of job {job} is {row['state']}.")
            again: int | None = row["redone_as"]
            if request.verdict is Verdict.redo and row["verdict"] != Verdict.redo:
                again = self._batches.redo(rows, job, item, request.preset, base, request.params)
            rows.execute(
                "UPDATE items SET verdict = ?, note = ?, reviewed_at = ?, reviewed_by = ?, redone_as = ?"
                " WHERE job = ? AND item = ?",
                (
                    request.verdict,
                    request.note,
                    None if request.verdict is Verdict.none else now(),
                    None if request.verdict is Verdict.none else by,
                    again,
                    job,
                    item,
                ),
            )
            self._journal.item_changed(rows, job, item)
            self._journal.job_changed(rows, job)
            redone = item_state(rows, job, again) if again is not None else None
            return ReviewResult(item=item_state(rows, job, item), redo=redone)

    @of_rows
    def summary(self) -> ReviewSummary:
        """Acceptance by preset, the most used first."""
        counts: dict[str, dict[str, int]] = {}
        with self._store.read() as rows:
            for preset, verdict, items in rows.execute(
                "SELECT preset, verdict, count(*) FROM items WHERE state = 'done' GROUP BY preset, verdict"
            ):
                counts.setdefault(preset, {})[verdict] = items
        told = [_acceptance(preset, by_verdict) for preset, by_verdict in counts.items()]
        return ReviewSummary(presets=tuple(sorted(told, key=lambda one: (-one.done, one.preset))))

    def csv(self) -> Iterator[bytes]:
        """Every finished item with its verdict, as CSV in UTF-8, in pieces."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        seq, item = -1, -1
        while True:
            with self._store.read() as rows:
                found = rows.execute(
                    "SELECT items.*, jobs.seq AS seq, jobs.client AS client, jobs.name AS job_name"
                    " FROM jobs JOIN items USING (job)"
                    " WHERE state = 'done' AND (jobs.seq, items.item) > (?, ?) ORDER BY jobs.seq,"
                    " items.item LIMIT ?",
                    (seq, item, PAGE),
                ).fetchall()
            for row in found:
                writer.writerow(_line(row))
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
            if len(found) < PAGE:
                return
            seq, item = found[-1]["seq"], found[-1]["item"]


def _acceptance(preset: str, counts: dict[str, int]) -> PresetAcceptance:
    judged = sum(items for verdict, items in counts.items() if verdict != Verdict.none)
    return PresetAcceptance(
        preset=preset,
        done=sum(counts.values()),
        unreviewed=counts.get(Verdict.none, 0),
        accepted=counts.get(Verdict.accepted, 0),
        rejected=counts.get(Verdict.rejected, 0),
        redo=counts.get(Verdict.redo, 0),
        rate=counts.get(Verdict.accepted, 0) / judged if judged else None,
    )


@of_rows
def _line(row: Row) -> list[object]:
    result, parameters = json.loads(row["result"]), json.loads(row["parameters"])
    facts = {**dict(row), **result, **parameters, "result": result["name"], "source": row["source_name"]}
    return [_harmless(facts.get(column)) for column in COLUMNS]


def _harmless(value: object) -> object:
    """A spreadsheet must not take somebody's note or file name for a formula."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return " ".join(map(str, value)) if isinstance(value, list) else value
