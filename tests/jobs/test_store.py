from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from bridge.errors import DiskFull, StoreUnavailable
from bridge.jobs.store import Store
from tests.jobs.conftest import Room


def test_it_knows_how_the_boot_before_ended(tmp_path: Path) -> None:
    first = Store(tmp_path / "jobs.sqlite")
    assert not first.crashed
    second = Store(tmp_path / "jobs.sqlite")
    assert second.crashed
    second.close()
    third = Store(tmp_path / "jobs.sqlite")
    assert not third.crashed
    assert len({store.boot_id for store in (first, second, third)}) == 3
    third.close()
    first._writer.close()
    first._reader.close()


def test_a_locked_store_is_named_and_heals(tmp_path: Path) -> None:
    room = Room(tmp_path / "home", busy_seconds=0.05)
    job = room.submit()
    other = sqlite3.connect(tmp_path / "home" / "jobs.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        room.submit()
    assert room.views.job(job).counts.total == 1  # reading goes on
    other.execute("ROLLBACK")
    room.submit()
    other.close()
    room.store.close()


def test_a_full_store_is_named_and_keeps_what_it_has(tmp_path: Path) -> None:
    room = Room(tmp_path / "home")
    job = room.submit(20)
    room.store._writer.execute(
        f"PRAGMA max_page_count = {room.store._writer.execute('PRAGMA page_count').fetchone()[0]}"
    )
    with pytest.raises(DiskFull):
        room.submit(10_000)
    assert room.views.job(job).counts.total == 20
    room.store._writer.execute("PRAGMA max_page_count = 1000000")
    room.submit()
    room.store.close()


def test_a_damaged_store_is_named(tmp_path: Path) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(b"this is no database at all, " * 100)
    with pytest.raises(StoreUnavailable, match="damaged"):
        Store(tmp_path / "jobs.sqlite")


def test_damage_inside_is_found_without_keeping_anybody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    room = Room(tmp_path)
    job = room.submit(500)
    room.store.check()
    room.store.close()
    with contextlib.closing(sqlite3.connect(path)) as store:
        (page,) = store.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'items_ref'").fetchone()
        (size,) = store.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\x5a" * size)
    again = Room(tmp_path)
    assert again.views.job(job).counts.total == 500
    with pytest.raises(StoreUnavailable, match="damaged"):
        again.store.check()
    again.store.close()


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "jobs.sqlite") as future:
        future.execute("PRAGMA user_version = 99")
    future.close()
    with pytest.raises(StoreUnavailable, match="newer"):
        Store(tmp_path / "jobs.sqlite")


def test_what_raises_inside_a_transaction_undoes_it(room: Room) -> None:
    with pytest.raises(RuntimeError), room.store.write() as rows:  # noqa: PT012 - the block is what is undone
        rows.execute("INSERT INTO events (body) VALUES ('{}')")
        raise RuntimeError
    assert room.journal.newest() == 0


def test_a_backup_is_a_store(room: Room, tmp_path: Path) -> None:
    job = room.submit(3)
    room.store.backup(tmp_path / "copy.sqlite")
    copy = Store(tmp_path / "copy.sqlite")
    with copy.read() as rows:
        assert rows.execute("SELECT count(*) FROM items WHERE job = ?", (job,)).fetchone()[0] == 3
    copy.close()
