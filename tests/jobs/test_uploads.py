"""Uploads on a disk that has no room: said by name, nothing torn, and gone on with when there is room."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import Any

import pytest

from bridge.errors import BridgeError, DiskFull, OutputError
from bridge.jobs import uploads
from tests.jobs.conftest import Room

DATA = bytes(range(256)) * 40


class FullDisk:
    """A file that takes so many bytes more, and then none."""

    def __init__(self, file: Any, room: int, code: int) -> None:
        self._file, self._room, self._code = file, room, code
        self.name = file.name

    def write(self, chunk: bytes) -> int:
        taken = chunk[: self._room]
        self._file.write(taken)
        self._room -= len(taken)
        if len(taken) < len(chunk):
            raise OSError(self._code, os.strerror(self._code))
        return len(taken)


@pytest.mark.parametrize(("code", "raised"), [(errno.ENOSPC, DiskFull), (errno.EIO, OutputError)])
@pytest.mark.parametrize("room_left", [0, 1, 5000])
def test_a_disk_that_fails_in_the_middle(
    room: Room, monkeypatch: pytest.MonkeyPatch, code: int, raised: type[BridgeError], room_left: int
) -> None:
    real = uploads.Incoming
    monkeypatch.setattr(
        uploads, "Incoming", lambda file, offset, limit: real(FullDisk(file, room_left, code), offset, limit)
    )
    upload = room.uploads.create("owner", "a.png", len(DATA)).upload
    with pytest.raises(raised), room.uploads.receive(upload, 0) as incoming:
        incoming.write(DATA)
    assert room.uploads.state(upload).offset == room_left
    assert not room.uploads.complete(upload).complete

    monkeypatch.setattr(uploads, "Incoming", real)
    with room.uploads.receive(upload, room_left) as incoming:
        incoming.write(DATA[room_left:])
    whole = room.uploads.complete(upload)
    assert (whole.complete, whole.sha256) == (True, hashlib.sha256(DATA).hexdigest())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_the_flush(room: Room, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    upload = room.uploads.create("owner", "a.png", len(DATA)).upload

    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        with pytest.raises((DiskFull, OutputError)), room.uploads.receive(upload, 0) as incoming:
            incoming.write(DATA)
    there = room.uploads.state(upload).offset
    with room.uploads.receive(upload, there) as incoming:  # what came is kept, and not taken twice
        incoming.write(DATA[there:])
    assert room.uploads.complete(upload).sha256 == hashlib.sha256(DATA).hexdigest()


def test_no_room_for_the_record_leaves_no_file(room: Room) -> None:
    room.uploads.create("owner", "first.png", 1)
    before = set(room.uploads.folder.iterdir())
    refuse = "CREATE TRIGGER no_room BEFORE INSERT ON uploads BEGIN SELECT raise(ABORT, 'no room'); END"
    room.store._writer.execute(refuse)
    with pytest.raises(BridgeError):
        room.uploads.create("owner", "a.png", 1)
    assert set(room.uploads.folder.iterdir()) == before
