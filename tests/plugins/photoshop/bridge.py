"""A bridge for the plug-in's tests: `python -m tests.plugins.photoshop.bridge PORT SECONDS`.

Everything real but the network: it finds faces with the real detector and brightens them, after SECONDS
in which it listens to cancelling. Prints one line of JSON when it listens, and ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.config import Places, Settings
from bridge.errors import BridgeError
from bridge.faces.detect import Detector
from bridge.server.parts import Parts
from bridge.server.serve import serve
from tests.server.fakes import FakeEngine, FakeParts


class PatientEngine(FakeEngine):
    """Takes its time, and says when it begins."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def restore(self, *args: Any, **kwargs: Any) -> Any:
        print("working", flush=True)  # noqa: T201 - tests wait for this line
        if self._seconds:
            self.gate.clear()
            threading.Timer(self._seconds, self.gate.set).start()
        return super().restore(*args, **kwargs)


class ShownParts(FakeParts):
    """As a fresh install looks from outside: GPEN-lite on the CPU."""

    def open(self, settings: Settings, places: Places) -> Parts:
        parts = super().open(settings, places)
        lite = replace(self.checkpoints.entries()[0], name="gpen-lite-256", side=64)
        self.checkpoints.installed = lambda: self.checkpoints.entries()[:1]  # type: ignore[method-assign]
        self.checkpoints.pick = lambda name, face_size: lite  # type: ignore[method-assign]
        return replace(parts, device="cpu")


def main() -> None:
    port, seconds = int(sys.argv[1]), float(sys.argv[2])
    parts = ShownParts(detector=Detector(), engine=PatientEngine(seconds))  # type: ignore[arg-type]
    threading.Thread(target=_end_with_standard_input, daemon=True).start()

    def tell(started: Any) -> None:
        announced = json.loads(Path(Places.current().announcement).read_text(encoding="utf-8"))
        told = {"url": started.url, "code": started.pairing_code, "token": announced["token"]}
        print(json.dumps(told), flush=True)  # noqa: T201 - as above

    try:
        serve(Settings(port=port), Places.current(), parts.open, tell)
    except BridgeError as error:
        print(json.dumps({"code": error.code, "detail": error.detail}), flush=True)  # noqa: T201 - as above
        sys.exit(1)


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
