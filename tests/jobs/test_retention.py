from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bridge.jobs.retention import DAY, Retention, Rules
from bridge.reply import Reply
from tests.jobs.conftest import Room


@pytest.fixture
def full(room: Room, reply: Reply) -> tuple[Room, str, list[str]]:
    """A job of four finished items; 0, 1 and 3 were acknowledged."""
    job = room.submit(4)
    for _ in range(4):
        room.publish(room.leased(), reply)
    for item in (0, 1, 3):
        room.batches.acknowledge(job, item)
    return room, job, room.files()


def retention(room: Room, max_bytes: int, days: float = 0.0) -> Retention:
    uploads, exchange = room.home / "uploads", room.home / "exchange"
    uploads.mkdir(exist_ok=True)
    exchange.mkdir(exist_ok=True)
    later = 40 * DAY
    rules = Rules(max_bytes, days)
    clock = lambda: time.time() + later  # noqa: E731
    return Retention(room.store, room.journal, room.outputs, uploads, exchange, rules, clock)


def test_oldest_first_and_only_as_many_as_needed(full: tuple[Room, str, list[str]]) -> None:
    room, job, files = full
    size = (room.outputs.root / files[0]).stat().st_size
    tidy = retention(room, max_bytes=3 * size)
    assert [removal.name for removal in tidy.plan()] == [files[0]]
    assert room.files() == files  # a plan is no deed
    assert [removal.name for removal in tidy.tidy()] == [files[0]]
    assert room.files() == files[1:]
    result = room.views.item(job, 0).result
    assert result is not None
    assert not result.available
    assert tidy.plan() == []


def test_a_damaged_name_is_passed_over(full: tuple[Room, str, list[str]]) -> None:
    """It may lead anywhere; the others go on."""
    room, job, _ = full
    (room.outputs.root.parent / "precious.png").write_bytes(b"another's")
    with room.store.write() as rows:
        rows.execute(
            "UPDATE items SET result_name = '../precious.png', result_bytes = 9 WHERE job = ? AND item = 0",
            (job,),
        )
    removed = [removal.name for removal in retention(room, max_bytes=0).tidy()]
    assert removed
    assert "../precious.png" not in removed
    assert (room.outputs.root.parent / "precious.png").read_bytes() == b"another's"


def test_what_nobody_fetched_is_never_removed(full: tuple[Room, str, list[str]]) -> None:
    room, _, files = full
    retention(room, max_bytes=0).tidy()
    assert room.files() == [files[2]]


def test_young_ones_stay(full: tuple[Room, str, list[str]]) -> None:
    room, _, files = full
    assert retention(room, max_bytes=0, days=50).tidy() == []
    assert room.files() == files


def test_others_files_and_changed_ones_stay(full: tuple[Room, str, list[str]]) -> None:
    room, _, files = full
    (room.outputs.root / "holiday.png").write_bytes(b"somebody's")
    (room.outputs.root / files[0]).write_bytes(b"edited")
    outside = room.home / "outside.png"
    outside.write_bytes(b"precious")
    (room.outputs.root / files[1]).unlink()
    (room.outputs.root / files[1]).symlink_to(outside)
    retention(room, max_bytes=0).tidy()
    assert "holiday.png" in room.files()
    assert files[0] in room.files()
    assert outside.read_bytes() == b"precious"


def test_uploads_and_exchange_files_that_no_job_names(room: Room) -> None:
    named = room.uploads.create("owner", "a.png", None).upload
    unnamed = room.uploads.create("owner", "b.png", None).upload
    fresh = room.uploads.create("owner", "c.png", None).upload
    room.submit(1)
    with room.store.write() as rows:
        rows.execute("UPDATE items SET upload = ?", (named,))
        rows.execute(
            "UPDATE uploads SET created_at = '2020-01-01T00:00:00Z' WHERE upload IN (?, ?)", (named, unnamed)
        )
    tidy = retention(room, max_bytes=0)
    exchange = room.home / "exchange"
    for name in ("0.png", "run/old.png", "run/new.png"):
        (exchange / name).parent.mkdir(exist_ok=True)
        (exchange / name).write_bytes(b"x")
    future = time.time() + 40 * DAY
    os.utime(exchange / "run/new.png", (future, future))
    os.utime(room.uploads.path(fresh), (future, future))
    gone = {removal.name for removal in tidy.tidy()}
    assert gone == {unnamed, "run/old.png"}
    assert (exchange / "0.png").exists()  # named by a job that is not done
    assert Path(room.uploads.path(named)).exists()


def test_the_upload_of_a_failed_item_stays_until_its_job_is_cancelled(room: Room) -> None:
    """It may be tried again; a client that gave up says so by cancelling."""
    upload = room.uploads.create("owner", "a.png", None).upload
    job = room.submit(1)
    with room.store.write() as rows:
        rows.execute("UPDATE items SET upload = ?, state = 'failed'", (upload,))
        rows.execute("UPDATE uploads SET created_at = '2020-01-01T00:00:00Z'")
    tidy = retention(room, max_bytes=0)
    assert tidy.plan() == []
    room.batches.cancel(job)
    assert [removal.name for removal in tidy.tidy()] == [upload]
