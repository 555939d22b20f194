"""One node of the cluster: Ray's processes on this machine, started again whenever they end.

Owns the ports, so that a firewall's rule is short and does not change. Knows nothing of crops.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bridge.atomic import private_folder, write_file
from bridge.engine.ray import Identity, environment
from bridge.engine.workers import Equipment
from bridge.errors import ConfigInvalid

TOKEN_BYTES = 32
PAUSE = 1.0
"""Seconds before Ray is started again, when it ended soon after it had begun."""
HELD = 30.0
"""Seconds after which Ray began well: then it is started again at once, and a head believes its memory."""
CLOSE_SECONDS = 10.0
START = "import sys; sys.modules['grpc'] = None; from ray.scripts.scripts import main; main()"
"""Ray's command, kept from finding grpc: a head that finds it opens one more port, for programs far away, and
no option forbids that."""
PR_SET_PDEATHSIG = 1
"""<sys/prctl.h>"""


@dataclass(frozen=True)
class Ports:
    """Where a node listens. Ray binds all addresses of the machine, so a firewall has to close them.

    Attributes:
        head: of the cluster's head; only there.
        first: of the node's own three.
        workers: the first of fifty for worker processes.
    """

    head: int = 17870
    first: int = 17871
    workers: int = 17900

    def listed(self, *, is_head: bool) -> dict[str, str]:
        """Each port or range, with what listens there."""
        own = {
            str(self.first): "node manager",
            str(self.first + 1): "object manager",
            str(self.first + 2): "environment agent",
            f"{self.workers}-{self.workers + 49}": "workers and driver",
        }
        return ({str(self.head): "head"} if is_head else {}) | own

    @property
    def numbers(self) -> list[int]:
        """Each of them."""
        return [self.head, *range(self.first, self.first + 3), *range(self.workers, self.workers + 50)]


@dataclass(frozen=True)
class Slots:
    """What a node offers: workers on GPUs and on the CPU."""

    gpus: int = 0
    cpus: int = 0


def make_token(path: Path) -> None:
    """Write a fresh token for the cluster, unless there is one.

    Raises:
        OutputError: it cannot be written.
    """
    if not path.exists():
        private_folder(path.parent)
        write_file(path, secrets.token_hex(TOKEN_BYTES).encode(), private=True)


def whereabouts(head: str, address: str | None) -> tuple[str, str]:
    """The head's address and this machine's own, as numbers: certificates of the cluster name those.

    Args:
        head: host:port.
        address: this machine's, if it was given; else that by which it reaches the head.

    Raises:
        ConfigInvalid: the head's name or this machine's address leads nowhere.
    """
    host, _, port = head.rpartition(":")
    try:
        there = socket.gethostbyname(host)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((there, int(port)))  # sends nothing
            return f"{there}:{port}", address or str(probe.getsockname()[0])
    except (OSError, ValueError) as error:
        raise ConfigInvalid(f"{head!r} does not lead to the head of a cluster: {error}.") from error


def session_folder() -> Path:
    """Where the head keeps its sockets and logs: short, since a socket's path may have 107 bytes."""
    return Path(tempfile.gettempdir()) / f"gpen-ray-{os.getuid()}"


def head_command(address: str, ports: Ports, folder: Path, store_bytes: int) -> list[str]:
    """The cluster's head at one of this machine's addresses; it computes nothing itself."""
    here = ["--head", "--node-ip-address", address, "--port", str(ports.head)]
    # The dashboard runs code for whoever reaches it, and the monitor tells its figures to everybody.
    off = ["--include-dashboard=false", "--no-monitor", "--temp-dir", str(folder)]
    return _command([*here, *off], ports, {}, 0, store_bytes)


def worker_command(head: str, address: str, ports: Ports, slots: Slots, store_bytes: int) -> list[str]:
    """A node with some slots that joins the head at host:port."""
    here = ["--address", head, "--node-ip-address", address]
    offered = {"gpen_gpu": slots.gpus, "gpen_cpu": slots.cpus}
    return _command(here, ports, {kind: n for kind, n in offered.items() if n}, slots.gpus, store_bytes)


def _command(
    here: Sequence[str], ports: Ports, offered: Mapping[str, int], gpus: int, store_bytes: int
) -> list[str]:
    resources = "{" + ", ".join(f'"{kind}": {count}' for kind, count in offered.items()) + "}"
    return [
        *(sys.executable, "-c", START, "start", "--block", "--disable-usage-stats"),
        *here,
        *("--node-manager-port", str(ports.first), "--object-manager-port", str(ports.first + 1)),
        *("--runtime-env-agent-port", str(ports.first + 2)),
        *("--min-worker-port", str(ports.workers), "--max-worker-port", str(ports.workers + 49)),
        *("--num-cpus", "0", "--num-gpus", str(gpus), "--resources", resources),
        *("--object-store-memory", str(store_bytes), "--include-log-monitor=false"),
    ]


def end_with_parent() -> Callable[[], object] | None:
    """What a child does first, so that it is told to stop should this process be killed; None elsewhere.

    Else a bridge that was killed would leave a head behind, which holds the ports of the next one.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: a child of a threaded process must not
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Node:
    """Keeps Ray running on this machine between `start` and `close`.

    Args:
        command: of `head_command` or `worker_command`.
        token_file: Ray's token.
        equipment: for the node's workers; None on the head.
        log: gets what Ray says.
        identify: makes this machine's identity, where the cluster speaks TLS; called at the start, not
            before, since it replaces the one that a running node has.
        head_folder: on the head, that of `head_command`. There a head that dies leaves what the next one has
            to know, so that nodes and workers outlive it. A head that begins, or whose Ray ended soon
            after it had begun, remembers nothing: that is another cluster, and nodes join it anew.
    """

    def __init__(
        self,
        command: Sequence[str],
        token_file: Path,
        equipment: Equipment | None,
        log: Path,
        head_folder: Path | None = None,
        identify: Callable[[], Identity] | None = None,
    ) -> None:
        self._command = list(command)
        self._token_file = token_file
        self._identify = identify
        self._more: dict[str, str] = {} if equipment is None else {"GPEN_EQUIPMENT": equipment.written()}
        self._environment: dict[str, str] = {}
        self._log = log
        # Ray notes its address here, and refuses to start a head again while nodes of the dead one still
        # run on the same machine.
        self._note = None if head_folder is None else head_folder / "ray_current_cluster"
        self._memory = None if head_folder is None else head_folder / "memory"
        if self._memory is not None:
            self._more |= {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(self._memory)}
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._live, name="ray-node", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        private_folder(self._log.parent)
        identity = None if self._identify is None else self._identify()
        self._environment = environment(self._token_file, identity) | self._more
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether `close` was called within so long."""
        return self._closing.wait(seconds)

    def close(self) -> None:
        """Stop Ray here, and everything that it started."""
        self._closing.set()
        if (process := self._process) is not None and process.poll() is None:
            process.terminate()
        if self._thread.ident is not None:
            self._thread.join()

    def _live(self) -> None:
        held = False
        while not self._closing.is_set():
            if self._note is not None:
                self._note.unlink(missing_ok=True)
            if self._memory is not None and not held:
                shutil.rmtree(self._memory, ignore_errors=True)
            began = time.monotonic()
            with self._log.open("ab") as log:
                self._process = process = subprocess.Popen(  # noqa: S603 - Ray's own command
                    self._command,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    preexec_fn=end_with_parent(),
                )
            while process.poll() is None and not self._closing.wait(0.2):
                pass
            if process.poll() is None:
                process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(CLOSE_SECONDS)
            # Whatever is left of it would hold the ports of the next one.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not (held := time.monotonic() - began >= HELD):
                self._closing.wait(PAUSE)
