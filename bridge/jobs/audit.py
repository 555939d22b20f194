"""The audit log: one JSON line for each picture, each line sealed to the one before.

`seal` is the SHA-256 of the line before's seal and of this line without its own, so that a changed,
removed or inserted line shows (`verify`). Files are rotated and never rewritten; the first line of
each goes on from the last of the one before. No pixels, no tokens; file names only if wished.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.errors import OutputError
from bridge.jobs import spool
from bridge.jobs.store import Store

MAX_FILE_BYTES = 16 * 1024**2
FIRST_SEAL = "0" * 64
REMEMBERED = 2000
"""Keys of the last lines, by which one that was written before a crash is known again."""


class AuditLog:
    """The log of one folder.

    Args:
        names: whether lines have file names.
    """

    def __init__(self, folder: Path, *, names: bool = True, max_file_bytes: int = MAX_FILE_BYTES) -> None:
        self._folder = folder
        self._names = names
        self._max_bytes = max_file_bytes
        self._lock = threading.Lock()
        self._seal: str | None = None

    def record(self, facts: Mapping[str, Any]) -> None:
        """Append one line and flush it to the disk.

        Raises:
            DiskFull, OutputError: it is not there.
        """
        with self._lock:
            self._append(facts)

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
            known = self._known_keys() if self._seal is None and pending else set()
            for row in pending:
                facts = _facts(row)
                if facts["key"] not in known:
                    self._append(facts)
                with store.write() as rows:
                    rows.execute(
                        "UPDATE items SET audited = 1 WHERE job = ? AND item = ? AND state = ?",
                        (row["job"], row["item"], row["state"]),
                    )

    def files(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self._folder.glob("audit-*.jsonl"))

    def _append(self, facts: Mapping[str, Any]) -> None:
        try:
            spool.make_folder(self._folder)
            if self._seal is None:
                self._seal = self._last_seal()
            kept = {
                name: value
                for name, value in facts.items()
                if self._names or name not in ("source", "result")
            }
            line, seal = sealed(kept, self._seal)
            with self._current().open("ab") as file:
                before = file.tell()
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(before)  # half a line would break the chain for ever
                    raise
        except OSError as error:
            raise spool.named(error, self._folder) from error
        self._seal = seal

    def _current(self) -> Path:
        files = self.files()
        if files and files[-1].stat().st_size < self._max_bytes:
            return files[-1]
        number = int(files[-1].stem.removeprefix("audit-")) + 1 if files else 1
        return self._folder / f"audit-{number:06d}.jsonl"

    def _last_seal(self) -> str:
        for path in reversed(self.files()):
            lines = path.read_bytes().splitlines(keepends=True)
            if lines and not lines[-1].endswith(b"\n"):
                # The power went in the middle of a line: what is left of it says nothing.
                with path.open("r+b") as file:
                    file.truncate(sum(map(len, lines[:-1])))
                lines.pop()
            if lines:
                return str(json.loads(lines[-1])["seal"])
        return FIRST_SEAL

    def _known_keys(self) -> set[str]:
        lines: list[bytes] = []
        for path in reversed(self.files()):
            lines = path.read_bytes().splitlines() + lines
            if len(lines) >= REMEMBERED:
                break
        return {key for line in lines[-REMEMBERED:] if (key := _key(line))}


def sealed(facts: Mapping[str, Any], before: str) -> tuple[bytes, str]:
    """A line with its seal, and the seal."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    seal = hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()
    return f"{text[:-1]},{json.dumps('seal')}:{json.dumps(seal)}}}\n".encode(), seal


def verify(files: list[Path]) -> int:
    """Check every seal from the first file on; how many lines there are.

    Raises:
        OutputError: names the first line that is not what it was.
    """
    seal, count = FIRST_SEAL, 0
    for path in files:
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
            try:
                facts = json.loads(line)
                told = facts.pop("seal")
                expected, seal = sealed(facts, seal)
            except (ValueError, KeyError, TypeError, AttributeError):
                expected, told = b"", None
            if expected != line or told != seal:
                raise OutputError(
                    f"{path.name}, line {number}: it was changed, or lines before it are missing.",
                    hint="Keep a copy of the folder and ask who had access to it.",
                )
            count += 1
    return count


def _key(line: bytes) -> str | None:
    try:
        return str(json.loads(line)["key"])
    except (ValueError, KeyError, TypeError):
        return None


def _facts(row: Any) -> dict[str, Any]:
    result = json.loads(row["result"]) if row["result"] and row["state"] == "done" else {}
    faces = json.loads(row["faces"]) if row["faces"] and row["state"] == "done" else []
    error = json.loads(row["error"]) if row["error"] and row["state"] == "failed" else {}
    return {
        # What happened to the item at this moment, and nothing else, has this key.
        "key": f"{row['job']}/{row['item']}/{row['finished_at']}",
        "at": row["finished_at"],
        "client": row["client"],
        "client_id": row["client_id"],
        "source": row["source_name"],
        "result": result.get("name"),
        "sha256": result.get("sha256"),
        "preset": row["preset"],
        "parameters": json.loads(row["parameters"]),
        "checkpoints": sorted({face["checkpoint"] for face in faces if face.get("checkpoint")}),
        "found": result.get("found", 0),
        "restored": result.get("restored", 0),
        "seconds": json.loads(row["seconds"]),
        "attempts": row["attempts"],
        "outcome": error.get("code", "done" if row["state"] == "done" else row["state"]),
    }
