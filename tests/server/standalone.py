"""A bridge with fake parts as a process of its own: `python -m tests.server.standalone PORT SECONDS [LAN]`.

Prints one line of JSON when it listens; a restoration takes SECONDS. LAN: settings of a door for other
computers, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from bridge.config import Places, Settings
from bridge.errors import BridgeError
from bridge.server.serve import serve
from tests.server.fakes import FakeEngine, FakeParts


class SlowEngine(FakeEngine):
    """Deaf to cancelling, like a network pass that has begun."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def restore(self, *args: Any, **kwargs: Any) -> Any:
        print("working", flush=True)  # noqa: T201 - the test waits for this line
        time.sleep(self._seconds)
        return super().restore(*args, **kwargs)


def main() -> None:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    lan = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    parts = FakeParts(engine=SlowEngine(seconds))
    try:
        serve(
            Settings(port=port, **lan),
            Places.current(),
            parts.open,
            lambda started: print(json.dumps({"url": started.url, "console": started.console}), flush=True),  # noqa: T201 - as above
        )
    except BridgeError as error:
        print(json.dumps({"code": error.code, "detail": error.detail}), flush=True)  # noqa: T201 - as above
        sys.exit(1)


if __name__ == "__main__":
    main()
