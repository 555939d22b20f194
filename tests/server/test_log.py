from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.server.log import Log
from tests.server.conftest import Bridge


def test_what_comes_after_the_end_is_dropped(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "bridge.log", "info")
    log.logger.warning("first", code="x")
    log.close()
    log.logger.warning("second")  # an open file would be told as a ResourceWarning, which fails the run
    (line,) = log.tail(10).splitlines()
    assert json.loads(line)["event"] == "first"


def test_a_file_that_cannot_be_written_is_told_once_and_in_a_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bridge.log").mkdir()
    log = Log(tmp_path / "bridge.log", "info")
    for number in range(5):
        log.logger.warning("lost", number=number)
    log.close()
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"gpen-bridge: nothing is logged to {tmp_path / 'bridge.log'}: ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a Linux device that is always full")
def test_a_full_disk_ends_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bridge.log").symlink_to("/dev/full")
    log = Log(tmp_path / "bridge.log", "info")
    for number in range(5):
        log.logger.warning("lost", number=number)
    log.close()
    assert "No space left on device" in capfd.readouterr().err


async def test_a_log_that_cannot_be_read_is_named(bridge: Bridge) -> None:
    bridge.places.log_file.unlink(missing_ok=True)
    bridge.places.log_file.mkdir()
    reply = await bridge("GET", "/v1/log")
    assert (reply.code, "bridge.log could not be read" in reply.json["detail"]) == ("output_failed", True)
