"""Death, a full disk and a broken one at every step of publishing."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import Cancelled, DiskFull, OutputError, OutputExists
from bridge.jobs import outputs, spool
from bridge.jobs.audit import verify
from bridge.reply import Reply
from tests.jobs.conftest import Died, Room


@pytest.mark.parametrize("step", ["written", "promised", "published"])
def test_a_death_at_any_step_publishes_once(room: Room, reply: Reply, step: str, monkeypatch: Any) -> None:
    job = room.submit()
    lease = room.leased()
    room.queue.enter(lease, "publish")
    room.die_at = step
    # A killed process tidies nothing up.
    monkeypatch.setattr(spool, "discard", lambda _: False)
    with pytest.raises(Died):
        room.publish(lease, reply)
    monkeypatch.undo()
    alive = room.reborn()
    alive.outputs.recover()
    if alive.state(job) == "queued":
        alive.publish(alive.leased(), reply)
    assert alive.state(job) == "done"
    assert alive.files() == ["photo-0-GPEN.png"]
    result = alive.views.item(job, 0).result
    assert result is not None
    assert spool.read_back(Path(result.path)).sha256 == result.sha256
    done = [text for _, text in alive.journal.since(0, 1000) if '"state":"done"' in text and '"item"' in text]
    assert len([text for text in done if '"type":"item"' in text]) == 1


def test_a_finished_part_is_published_after_a_death(room: Room, reply: Reply, monkeypatch: Any) -> None:
    job = room.submit()
    room.die_at = "promised"
    monkeypatch.setattr(spool, "discard", lambda _: False)
    with pytest.raises(Died):
        room.publish(room.leased(), reply)
    monkeypatch.undo()
    alive = room.reborn()
    alive.outputs.recover()
    assert (alive.state(job), alive.views.item(job, 0).attempts) == ("done", 1)  # not enhanced again
    assert alive.files() == ["photo-0-GPEN.png"]


def test_a_death_between_link_and_unlink_leaves_one_file(room: Room, reply: Reply, monkeypatch: Any) -> None:
    job = room.submit()

    def die(_: Path) -> None:
        raise Died

    monkeypatch.setattr(spool, "sync_folder", die)
    monkeypatch.setattr(spool, "discard", lambda _: False)
    with pytest.raises(Died):
        room.publish(room.leased(), reply)
    monkeypatch.undo()
    assert len(room.files()) == 2
    alive = room.reborn()
    alive.outputs.recover()
    assert alive.state(job) == "done"
    assert alive.files() == ["photo-0-GPEN.png"]


def broken(call: Callable[..., Any], code: int) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


SITES = [
    "os.fsync",
    "os.link",
    "pathlib.Path.open",
    "bridge.jobs.spool.sync_folder",
    "bridge.jobs.spool.read_back",
]


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_broken_disk_at_any_site_leaves_nothing(
    room: Room, reply: Reply, site: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = room.submit()
    lease = room.leased()
    monkeypatch.setattr(site, broken(os.fsync, code))
    with pytest.raises((DiskFull, OutputError)) as caught:
        room.publish(lease, reply)
    monkeypatch.undo()
    assert isinstance(caught.value, DiskFull) == (code == errno.ENOSPC)
    assert caught.value.retryable
    assert room.files() == []
    assert room.state(job) == "leased"
    room.publish(lease, reply)
    assert room.files() == ["photo-0-GPEN.png"]


def test_a_disk_that_lies_is_found_out(room: Room, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    room.submit()
    lease = room.leased()
    honest = spool.read_back
    monkeypatch.setattr(spool, "read_back", lambda path: spool.Written(honest(path).size, "0" * 64))
    with pytest.raises(OutputError):
        room.publish(lease, reply)
    assert room.files() == []


def test_disks_without_hard_links(room: Room, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    room.submit(2)
    monkeypatch.setattr("os.link", broken(os.link, errno.EPERM))
    for _ in range(2):
        room.publish(room.leased(), reply)
    assert room.files() == ["photo-0-GPEN.png", "photo-1-GPEN.png"]


def test_never_over_a_file_of_others(room: Room, reply: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    room.submit(1, output={"on_clash": "replace_own"})
    (room.outputs.root / "photo-0-GPEN.png").write_bytes(b"somebody's")
    honest = os.link

    def late(source: Path, target: Path) -> None:
        # Another program takes the name between the look and the rename.
        if target.name == "photo-0-GPEN-2.png":
            target.write_bytes(b"another's")
        honest(source, target)

    monkeypatch.setattr("os.link", late)
    room.publish(room.leased(), reply)
    assert room.files() == ["photo-0-GPEN-2.png", "photo-0-GPEN-3.png", "photo-0-GPEN.png"]
    assert (room.outputs.root / "photo-0-GPEN.png").read_bytes() == b"somebody's"
    assert (room.outputs.root / "photo-0-GPEN-2.png").read_bytes() == b"another's"


def test_fail_on_clash(room: Room, reply: Reply) -> None:
    room.submit(1, output={"on_clash": "fail"})
    (room.outputs.root / "photo-0-GPEN.png").write_bytes(b"somebody's")
    with pytest.raises(OutputExists):
        room.publish(room.leased(), reply)
    assert room.files() == ["photo-0-GPEN.png"]


def test_a_cancelled_item_publishes_nothing(room: Room, reply: Reply) -> None:
    job = room.submit()
    lease = room.leased()
    room.batches.cancel(job)
    with pytest.raises(Cancelled):
        room.publish(lease, reply)
    assert room.files() == []
    assert room.state(job) == "cancelled"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one mebibyte."""
    mount = tmp_path / "small"
    mount.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)]
    try:
        refused = subprocess.run(words, capture_output=True).returncode != 0  # noqa: S603 - fixed words
    except OSError:
        refused = True
    if refused:
        pytest.skip("this system lets us mount nothing")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)  # noqa: S603, S607 - fixed words


def fill(disk: Path) -> Path:
    """Write until there is no room left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return ballast


def test_a_really_full_disk(small_disk: Path, reply: Reply) -> None:
    room = Room(small_disk / "home")
    job = room.submit(3)
    lease = room.leased()
    ballast = fill(small_disk)
    with pytest.raises(DiskFull):
        room.publish(lease, reply)
    with pytest.raises(DiskFull):
        room.submit(2000)
    with pytest.raises(DiskFull):
        room.audit.record({"key": "a" * 5000})
    assert room.state(job) == "leased"
    ballast.unlink()
    room.publish(lease, reply)
    room.audit.record({"key": "b"})
    assert room.files() == ["photo-0-GPEN.png"]
    alive = room.reborn()
    assert alive.state(job) == "done"
    assert verify(alive.audit.folder) == 1
    alive.store.close()


@pytest.mark.parametrize("taken", [0, 1, 2, 3, 4, 5, 8, 9, 300])
def test_many_photos_of_one_name_are_numbered_in_few_looks(
    room: Room, reply: Reply, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {f"photo-0-GPEN{f'-{number}' if number > 1 else ''}.png" for number in range(1, taken + 1)}
    for name in names:
        (room.outputs.root / name).touch()
    looks: list[Path] = []
    real = outputs._is_taken
    monkeypatch.setattr(outputs, "_is_taken", lambda path: looks.append(path) or real(path))
    room.submit()
    room.publish(room.leased(), reply)
    (own,) = set(room.files()) - names
    assert own == ("photo-0-GPEN.png" if not taken else f"photo-0-GPEN-{taken + 1}.png")
    assert len(looks) <= 2 * taken.bit_length() + 3


def test_a_folder_that_vanishes_while_it_is_swept_stops_no_start(
    room: Room, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    def vanish(_: Path, __: str) -> Iterator[Path]:
        raise FileNotFoundError(errno.ENOENT, "gone")

    job = room.submit()
    alive = room.reborn()
    monkeypatch.setattr(Path, "rglob", vanish)
    alive.outputs.recover()
    monkeypatch.undo()
    alive.publish(alive.leased(), reply)
    assert alive.state(job) == "done"
