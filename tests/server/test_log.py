from __future__ import annotations

import json
from pathlib import Path

from bridge.server.log import Log


def test_what_comes_after_the_end_is_dropped(tmp_path: Path) -> None:
    log = Log(tmp_path / "logs" / "bridge.log", "info")
    log.logger.warning("first", code="x")
    log.close()
    log.logger.warning("second")  # an open file would be told as a ResourceWarning, which fails the run
    (line,) = log.tail(10).splitlines()
    assert json.loads(line)["event"] == "first"
