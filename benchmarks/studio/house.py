"""A whole studio on one machine: a bridge with its head, and nodes, each as the command line starts them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.studio.network import Network, network

NODES = 2
SHM = 150_000_000


def address() -> str:
    """An address of this machine that is not loopback, as Ray wants several nodes to have."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


@dataclass
class Part:
    """One process of the command line, and all that it started."""

    name: str
    process: subprocess.Popen[bytes]
    home: Path

    def descendants(self) -> dict[int, str]:
        """Every process below it, with its command line."""
        parents: dict[int, list[int]] = {}
        lines: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError, IndexError, ValueError):
                    stat = (entry / "stat").read_text().rpartition(")")[2].split()
                    parents.setdefault(int(stat[1]), []).append(int(entry.name))
                    raw = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                    lines[int(entry.name)] = raw.decode(errors="replace")
        found, pending = {}, [self.process.pid]
        while pending:
            for child in parents.get(pending.pop(), []):
                found[child] = lines.get(child, "")
                pending.append(child)
        return found

    def signal_all(self, number: int, *, itself: bool = True) -> None:
        """Send a signal to it and to everything below it."""
        for pid in [*self.descendants(), *([self.process.pid] if itself else [])]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


@dataclass
class House:
    """The studio of one run.

    Attributes:
        cables: None where nodes are mere processes of this machine.
    """

    folder: Path
    here: str
    cables: Network | None
    parts: dict[str, Part] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def token(self) -> Path:
        """Of the cluster."""
        return self.folder / "bridge" / "studio" / "ray.token"

    @property
    def head(self) -> str:
        """Where nodes join."""
        return f"{self.here}:17870"

    def up(self) -> None:
        """The bridge and the head of its cluster."""
        words = ["studio", "up", "--address", self.here, "--port", "0", "--store-bytes", str(SHM), "--json"]
        self._start("bridge", words)

    def join(self, number: int) -> None:
        """A node with one CPU worker."""
        if self.cables is None:
            own = ["--first-port", str(17880 + 10 * number), "--worker-ports", str(18000 + 100 * number)]
            before, own = [], [*own, "--address", self.here]
        else:
            before, own = self.cables.inside(number), ["--address", self.cables.address(number)]
        store = ["--store-bytes", str(SHM), "--token-file", str(self.token)]
        words = ["studio", "join", self.head, "--cpus", "1", *own, *store, "--json"]
        self._start(f"node{number}", words, before)
        # Two starts at once on one machine get in each other's way.
        log, deadline = self.folder / f"node{number}" / "studio" / "node" / "node.log", time.monotonic() + 150
        while not log.exists() or "Ray runtime started" not in log.read_text(errors="replace"):
            assert time.monotonic() < deadline, self.log(f"node{number}")
            time.sleep(0.2)

    def cut(self, *, mended: bool = False) -> str:
        """Cut every node off, or let it come back; how."""
        if self.cables is not None:
            self.cables.pull(plugged=mended)
            return "cables of network namespaces pulled"
        for name, part in self.parts.items():
            if name != "bridge":
                part.signal_all(signal.SIGCONT if mended else signal.SIGSTOP)
        return "processes stopped"

    def stop(self, name: str) -> None:
        """In good order."""
        part = self.parts.pop(name)
        part.process.send_signal(signal.SIGTERM)
        try:
            part.process.wait(40)
        except subprocess.TimeoutExpired:
            part.signal_all(signal.SIGKILL)
            part.process.wait()

    def announced(self) -> Any:
        """bridge.json, once it is there."""
        path = self.folder / "bridge" / "bridge.json"
        deadline = time.monotonic() + 90
        while not path.exists():
            assert time.monotonic() < deadline, self.log("bridge")
            time.sleep(0.1)
        return json.loads(path.read_text())

    def log(self, name: str) -> str:
        """The end of what one part said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-3000:]

    def _start(self, name: str, words: list[str], before: list[str] | None = None) -> None:
        home = self.folder / name
        home.mkdir(parents=True, exist_ok=True)
        own = {"GPEN_HOME": str(home), "GPEN_DEVICE": "cpu", "GPEN_ENGINE": "torch", "GPEN_THREADS": "1"}
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*(before or []), sys.executable, "-m", "bridge", *words],
                env=os.environ | own | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.parts[name] = Part(name, process, home)


@contextlib.contextmanager
def house(folder: Path, **environment: str) -> Iterator[House]:
    """A studio, all of whose processes are gone afterwards."""
    with network(NODES) as cables:
        built = House(folder, address() if cables is None else cables.here, cables, environment=environment)
        try:
            yield built
        finally:
            below = [part.descendants() for part in built.parts.values()]
            for name in sorted(built.parts, reverse=True):  # nodes first
                built.stop(name)
            for pid in [pid for found in below for pid in found]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
