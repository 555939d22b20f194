"""What may be deleted, and when: old results, uploads and exchange files, inside our folders only.

A plan is made first and can be looked at (`dry run`); what is in it has one reason each. Results that
nobody fetched are never in it: a full disk makes batches wait instead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bridge.errors import StoreUnavailable
from bridge.jobs import spool
from bridge.jobs.journal import Journal
from bridge.jobs.outputs import Outputs
from bridge.jobs.store import Store, of_rows

DAY = 86400.0
ORPHAN_SECONDS = DAY
"""Uploads and exchange files that no job names are kept for so long."""


@dataclass(frozen=True)
class Removal:
    """One file that goes.

    Attributes:
        name: relative to its folder, with `/`.
        reason: `old_result`, `unnamed_upload` or `unnamed_exchange_file`.
    """

    folder: str
    name: str
    path: Path
    bytes: int
    reason: str
    job: str | None = None
    item: int | None = None


@dataclass(frozen=True)
class Rules:
    """When results make room (design.md section 5, promise 9)."""

    max_output_bytes: int
    keep_days: float


class Retention:
    """Tidies the managed folders.

    Args:
        clock: wall-clock seconds; a wrong clock keeps files longer or shorter by as much.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        outputs: Outputs,
        uploads: Path,
        exchange: Path,
        rules: Rules,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._journal = journal
        self._outputs = outputs
        self._uploads = uploads
        self._exchange = exchange
        self._rules = rules
        self._clock = clock

    @of_rows
    def plan(self) -> list[Removal]:
        """What would go now."""
        return [*self._results(), *self._unnamed_uploads(), *self._unnamed_exchange_files()]

    def tidy(self) -> list[Removal]:
        """Carry out the plan of this moment; what really went."""
        gone = [removal for removal in self.plan() if self._remove(removal)]
        with self._store.write() as rows:
            for removal in gone:
                if removal.job is not None and removal.item is not None:
                    rows.execute(
                        "UPDATE items SET available = 0 WHERE job = ? AND item = ?",
                        (removal.job, removal.item),
                    )
                    self._journal.item_changed(rows, removal.job, removal.item)
                elif removal.reason == "unnamed_upload":
                    rows.execute("DELETE FROM uploads WHERE upload = ?", (removal.name,))
        return gone

    @of_rows
    def output_bytes(self) -> int:
        """What the results in the output folder take, as far as they are ours."""
        with self._store.read() as rows:
            return int(
                rows.execute("SELECT ifnull(sum(result_bytes), 0) FROM items WHERE available = 1").fetchone()[
                    0
                ]
            )

    def _results(self) -> Iterator[Removal]:
        excess = self.output_bytes() - self._rules.max_output_bytes
        if excess <= 0:
            return
        with self._store.read() as rows:
            old = rows.execute(
                "SELECT job, item, result_name, result_bytes, finished_at FROM items WHERE available = 1"
                " AND (acked_at IS NOT NULL OR fetched_at IS NOT NULL) ORDER BY finished_at"
            ).fetchall()
        for row in old:
            if excess <= 0 or self._age(row["finished_at"]) < self._rules.keep_days * DAY:
                return
            try:
                path = self._outputs.path_of(row["result_name"])
            except StoreUnavailable:  # a damaged name may lead anywhere
                continue
            size = _own_file(path, self._outputs.root)
            excess -= row["result_bytes"]
            if size in (None, row["result_bytes"]):  # another size: somebody made it theirs
                yield Removal(
                    "outputs", row["result_name"], path, size or 0, "old_result", row["job"], row["item"]
                )

    def _unnamed_uploads(self) -> Iterator[Removal]:
        with self._store.read() as rows:
            unnamed = rows.execute(
                f"SELECT upload, created_at FROM uploads WHERE upload NOT IN"
                f" ({_NAMED.format('upload')} AND upload IS NOT NULL)"
            ).fetchall()
            known = {row[0] for row in rows.execute("SELECT upload FROM uploads")}
        names = {row["upload"] for row in unnamed if self._age(row["created_at"]) > ORPHAN_SECONDS}
        for path in _files(self._uploads):
            if path.name in names or path.name not in known:
                yield from self._if_old(path, self._uploads, "uploads", "unnamed_upload")

    def _unnamed_exchange_files(self) -> Iterator[Removal]:
        with self._store.read() as rows:
            named = {
                row[0]
                for row in rows.execute(_NAMED.format("json_extract(source, '$.path')"))  # constants only
            }
        for path in _files(self._exchange):
            if path.relative_to(self._exchange).as_posix() not in named:
                yield from self._if_old(path, self._exchange, "exchange", "unnamed_exchange_file")

    def _if_old(self, path: Path, root: Path, folder: str, reason: str) -> Iterator[Removal]:
        try:
            facts = path.stat(follow_symlinks=False)
        except OSError:
            return
        if self._clock() - facts.st_mtime > ORPHAN_SECONDS:
            yield Removal(folder, path.relative_to(root).as_posix(), path, facts.st_size, reason)

    def _age(self, moment: str) -> float:
        return self._clock() - datetime.fromisoformat(moment).timestamp()

    def _remove(self, removal: Removal) -> bool:
        if not spool.discard(removal.path):
            return False
        root = {"outputs": self._outputs.root, "uploads": self._uploads, "exchange": self._exchange}[
            removal.folder
        ]
        for parent in removal.path.parents:
            if parent == root or not parent.is_relative_to(root):
                break
            try:
                parent.rmdir()  # only when it is empty
            except OSError:
                break
        return True


_NAMED = (
    "SELECT {} FROM items WHERE NOT (state = 'cancelled' OR state = 'done' AND"
    " (acked_at IS NOT NULL OR fetched_at IS NOT NULL) OR state = 'failed' AND"
    " job IN (SELECT job FROM jobs WHERE control = 'cancelled'))"
)
"""A job names its sources until their results were taken, or it was cancelled, also after a failure."""


def _own_file(path: Path, root: Path) -> int | None:
    """Size of a plain file inside `root`; None when there is none."""
    try:
        if path.is_symlink() or not path.resolve().is_relative_to(root.resolve()):
            return -1
        return path.stat().st_size
    except OSError:
        return None


def _files(root: Path) -> Sequence[Path]:
    """Plain files below a folder; links are neither followed nor listed."""
    return [
        Path(folder) / name
        for folder, _, names in os.walk(root, followlinks=False)
        for name in names
        if not (Path(folder) / name).is_symlink()
    ]
