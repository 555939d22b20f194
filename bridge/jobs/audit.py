"""The audit log: one JSON line for each picture, chained to the one before (see `chain.py`).

The runner lets it catch up with the store after every settled item, `server/enhance.py` records the
pictures of single requests. Files are rotated and only ever appended to. No pixels, no tokens; file
names only if wished.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from bridge.errors import OutputError
from bridge.jobs import chain
from bridge.jobs.chain import MAX_FILE_BYTES, Chain
from bridge.jobs.store import Row, Store

TOGETHER = 100
"""Lines that reach the disk at once, then are marked at once: a batch of thousands may be cancelled."""
REMEMBERED = 20 * TOGETHER
"""Keys of the last lines, by which those that were written before a crash are known again."""


class AuditLog:
    """The log of one folder.

    Args:
        names: whether lines have file names.
    """

    def __init__(self, folder: Path, *, names: bool = True, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self.folder = folder
        self._names = names
        self._chain = Chain(folder, max_file_bytes=max_file_bytes)
        self._lock = threading.Lock()
        self._knows_the_past = False

    def record(self, facts: Mapping[str, Any]) -> None:
        """Append one line and flush it to the disk.

        Raises:
            DiskFull, OutputError: it is not there.
        """
        self._append((facts,))

    def catch_up(self, store: Store) -> None:
        """Write a line for each settled item that has none.

        An item is marked after its line is on the disk; one that a crash left between is found again
        by its key among the last lines.

        Raises:
            DiskFull, OutputError, StoreUnavailable: to be called again.
        """
        with self._lock:
            with store.read() as rows:
                pending = rows.execute(
                    "SELECT items.*, jobs.client AS client, jobs.client_id AS client_id"
                    " FROM items JOIN jobs USING (job)"
                    " WHERE audited = 0 AND state IN ('done', 'failed', 'cancelled')"
                    " ORDER BY items.finished_at LIMIT 1000"
                ).fetchall()
            known = self._known_keys() if pending and not self._knows_the_past else set()
            for start in range(0, len(pending), TOGETHER):
                # Until they are marked, what of them is on the disk is known by the log alone.
                self._knows_the_past = False
                self._write_and_mark(store, pending[start : start + TOGETHER], known)
                self._knows_the_past = True

    def _write_and_mark(self, store: Store, some: Sequence[Row], known: Set[str]) -> None:
        self._append(facts for row in some if (facts := _facts(row))["key"] not in known)
        with store.write() as rows:
            for row in some:
                rows.execute(
                    "UPDATE items SET audited = 1 WHERE job = ? AND item = ? AND state = ?",
                    (row["job"], row["item"], row["state"]),
                )

    def _append(self, many: Iterable[Mapping[str, Any]]) -> None:
        private = () if self._names else ("source", "result")
        self._chain.extend(
            {name: value for name, value in facts.items() if name not in private} for facts in many
        )

    def _known_keys(self) -> set[str]:
        return {str(line.get("key")) for line in chain.newest(self.folder, REMEMBERED)}


def verify(folder: Path) -> int:
    """Check every line from the first on; how many there are.

    Raises:
        OutputError: names the first line that is not what it was, or says that lines are missing.
    """
    found = chain.verify(folder)
    advice = "Keep a copy of the folder and ask who had access to it."
    if found.broken is not None:
        place = f"{found.broken.file.name}, line {found.broken.line}"
        raise OutputError(f"{place}: the audit log is not whole. {found.broken.reason}", hint=advice)
    if found.first > 1:
        raise OutputError(f"The first {found.first - 1} lines of the audit log are missing.", hint=advice)
    return found.lines


def _facts(row: Row) -> dict[str, Any]:
    """What a settled item's line tells; a damaged cell costs its own value, never the line."""
    done, failed = row["state"] == "done", row["state"] == "failed"
    result = _object(row["result"]) if done else {}
    faces = _stored(row["faces"]) if done else []
    error = _object(row["error"]) if failed else {}
    facts = {
        # What happened to the item at this moment, and nothing else, has this key.
        "key": f"{row['job']}/{row['item']}/{row['finished_at']}",
        "at": row["finished_at"],
        "client": row["client"],
        "client_id": row["client_id"],
        "source": row["source_name"],
        "result": result.get("name"),
        "sha256": result.get("sha256"),
        "preset": row["preset"],
        "parameters": _stored(row["parameters"]),
        "checkpoints": _checkpoints(faces),
        "found": result.get("found", 0),
        "restored": result.get("restored", 0),
        "seconds": _stored(row["seconds"]),
        "attempts": row["attempts"],
        "outcome": error.get("code", row["state"]),
    }
    return {name: None if isinstance(value, bytes) else value for name, value in facts.items()}


def _stored(cell: Any) -> Any:
    """What a cell of JSON says; of a damaged one its text, as far as it is text."""
    try:
        return json.loads(cell)
    except (TypeError, ValueError, RecursionError):
        return cell


def _object(cell: Any) -> dict[str, Any]:
    told = _stored(cell)
    return told if isinstance(told, dict) else {}


def _checkpoints(faces: Any) -> list[str]:
    told = [face for face in faces if isinstance(face, dict)] if isinstance(faces, list) else []
    return sorted({name for face in told if isinstance(name := face.get("checkpoint"), str) and name})
