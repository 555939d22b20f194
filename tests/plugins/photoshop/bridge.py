"""A bridge for the plug-in's tests: `python -m tests.plugins.photoshop.bridge PORT SECONDS [studio]`.

Everything real but the network: it finds faces with the real detector and brightens them, after SECONDS
in which it listens to cancelling. Prints one line of JSON when it listens, and ends with its standard input.
A studio's has a second door, with TLS, as if its own address were another computer's.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge import certificates
from bridge.config import Places, Settings
from bridge.errors import BridgeError
from bridge.faces.detect import Detector
from bridge.server import lan
from bridge.server import serve as serving
from bridge.server.parts import Parts
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
    second: dict[str, Any] = {}
    shown = {}
    if "studio" in sys.argv[3:]:
        lan.LOOPBACK = serving.LOOPBACK = ("localhost",)
        made = certificates.make(Places.current().data / "tls", ["127.0.0.1"])
        second = {"host": "127.0.0.1", "names": ("127.0.0.1",), "lan_port": _free_port()}
        second |= {"tls_certificate": made.server, "tls_key": made.server_key}
        shown = {"lan": f"https://127.0.0.1:{second['lan_port']}", "authority": str(made.authority)}
    parts = ShownParts(detector=Detector(), engine=PatientEngine(seconds))  # type: ignore[arg-type]
    threading.Thread(target=_end_with_standard_input, daemon=True).start()

    def tell(started: Any) -> None:
        announced = json.loads(Path(Places.current().announcement).read_text(encoding="utf-8"))
        told = {"url": started.url, "code": started.pairing_code, "token": announced["token"], **shown}
        print(json.dumps(told), flush=True)  # noqa: T201 - as above

    try:
        serving.serve(Settings(port=port, **second), Places.current(), parts.open, tell)
    except BridgeError as error:
        print(json.dumps({"code": error.code, "detail": error.detail}), flush=True)  # noqa: T201 - as above
        sys.exit(1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _end_with_standard_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
