from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.errors import ImageError, OutputError, StoreUnavailable
from bridge.jobs import chain
from bridge.jobs.audit import AuditLog, verify
from bridge.reply import Reply
from tests.jobs.conftest import Room


def files(audit: AuditLog) -> list[Path]:
    return sorted(audit.folder.iterdir())


def lines(audit: AuditLog) -> list[dict[str, object]]:
    return [json.loads(line) for path in files(audit) for line in path.read_text().splitlines()]


def test_one_line_for_each_picture_also_after_a_death(room: Room, reply: Reply) -> None:
    job = room.submit(3)
    room.publish(room.leased(), reply)
    room.audit.catch_up(room.store)
    room.queue.fail(room.leased(), ImageError("x"), {"decode": 0.2})
    room.batches.cancel(job)
    # A death between the line and the mark in the store:
    with room.store.write() as rows:
        rows.execute("UPDATE items SET audited = 0")
    alive = room.reborn()
    alive.audit.catch_up(alive.store)
    alive.audit.catch_up(alive.store)
    told = lines(alive.audit)
    assert sorted(str(line["outcome"]) for line in told) == ["cancelled", "done", "image_unreadable"]
    done = next(line for line in told if line["outcome"] == "done")
    assert done["checkpoints"] == ["fake"]
    assert done["source"] == "photo-0.png"
    assert verify(alive.audit.folder) == 3


def test_a_large_batch_that_is_cancelled_reaches_the_disk_in_few_strokes(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    strokes: list[int] = []
    real = chain._append
    monkeypatch.setattr(chain, "_append", lambda file, data: strokes.append(len(data)) or real(file, data))
    room.batches.cancel(room.submit(250))
    room.audit.catch_up(room.store)
    assert len(strokes) == 3
    assert verify(room.audit.folder) == 250


def test_a_store_that_fails_between_lines_and_marks_doubles_none(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.batches.cancel(room.submit(3))
    room.audit.catch_up(room.store)
    room.batches.cancel(room.submit(150))
    with monkeypatch.context() as broken:

        def refuse() -> None:
            raise StoreUnavailable("x")

        broken.setattr(room.store, "write", refuse)
        with pytest.raises(StoreUnavailable):
            room.audit.catch_up(room.store)
    assert verify(room.audit.folder) == 103
    room.audit.catch_up(room.store)
    keys = [line["key"] for line in lines(room.audit)]
    assert len(keys) == len(set(keys)) == 153


def test_any_change_shows(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path, max_file_bytes=600)
    for number in range(12):
        audit.record({"key": str(number), "outcome": "done"})
    assert len(files(audit)) > 1
    assert verify(audit.folder) == 12
    path = files(audit)[0]
    original = path.read_bytes()
    first, second, *rest = original.splitlines(keepends=True)
    for forged in (
        b"".join([second, *rest]),
        b"".join([first, *rest]),
        original.replace(b'"key":"1"', b'"key":"7"'),
        b"".join([second, first, *rest]),
    ):
        path.write_bytes(forged)
        with pytest.raises(OutputError):
            verify(audit.folder)
    path.write_bytes(original)
    path.unlink()
    with pytest.raises(OutputError):
        verify(audit.folder)


def test_half_a_line_is_put_on_record_and_the_chain_goes_on(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path)
    audit.record({"key": "a"})
    with files(audit)[0].open("ab") as file:
        file.write(b'{"key":"b"')
    torn = files(audit)[0].read_bytes()
    AuditLog(tmp_path).record({"key": "c"})
    assert files(audit)[0].read_bytes().startswith(torn)
    assert verify(tmp_path) == 2


def test_names_can_be_left_out(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path, names=False)
    audit.record({"key": "a", "source": "secret.png", "result": "secret-GPEN.png"})
    assert "secret" not in files(audit)[0].read_text()
