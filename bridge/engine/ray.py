"""The door to Ray, from the bridge's side: keeps a driver alive, hands calls over, hears reports.

The driver (`ray_driver.py`) is a child process. Ray may end a driver whose cluster is gone, and it is
never imported here; whatever happens to a driver, a new one follows and the pool sends its calls again.
"""

from __future__ import annotations

import hashlib
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bridge.engine.workers import Call, Describe, Published, Refused, Report, Seen
from bridge.errors import BridgeError, ConfigInvalid, ExtraMissing

SILENCE = 30.0
"""Seconds without a report after which a driver hangs; it reports once a second, once it has connected."""
PAUSE = 1.0
"""Seconds before a driver that ended is followed by the next."""
CLOSE_SECONDS = 5.0
"""Seconds that a driver has to end in, when the bridge does."""
LOOK = 0.5
"""Seconds between two looks whether the bridge ends, while a driver says nothing."""
LEAST_TOKEN = 32
"""Characters of the shortest token that Ray's cluster may be opened with."""


@dataclass(frozen=True)
class Identity:
    """By what a machine of a cluster shows the others that it has the cluster's token; PEM files in a folder.

    `certificates.for_cluster` makes them. Whoever has none comes no further than the TLS handshake.
    """

    folder: Path

    @property
    def authority(self) -> Path:
        """That of the cluster: the same key on each machine, derived from the token."""
        return self.folder / "authority.pem"

    @property
    def certificate(self) -> Path:
        """This machine's, for its address."""
        return self.folder / "node.pem"

    @property
    def key(self) -> Path:
        """Its private key, owner-only."""
        return self.folder / "node.key"


@dataclass(frozen=True)
class Plan:
    """What a driver is told when it begins.

    Attributes:
        address: of the cluster's head, host:port.
        token_file: holds Ray's token, readable by its owner only.
        in_flight: calls that one worker may have.
        first: the checkpoint with which workers show that they compute right.
        most_workers: up to which an autoscaler is asked for more; 0: it is not asked.
        identity: of this machine, where the cluster speaks TLS as `studio up` has it.
    """

    address: str
    token_file: Path
    in_flight: int
    first: Published
    most_workers: int = 0
    identity: Identity | None = None

    @property
    def bridge(self) -> str:
        """Tells this bridge's workers from another one's on the same cluster; the same after each start."""
        return hashlib.sha256(f"{socket.gethostname()}:{self.token_file}".encode()).hexdigest()[:12]


@dataclass
class Driver:
    """A driver that runs."""

    process: subprocess.Popen[bytes]
    connection: Connection
    _open: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def send(self, message: Any) -> None:
        """Tell it something; in vain when it is gone, which whoever listens to it notices.

        One thread may send while another ends it: the pipe is not closed under a message.
        """
        with self._open, suppress(OSError):
            self.connection.send(message)

    def end(self) -> None:
        """Make sure that it is gone."""
        # A message that it does not take holds the pipe until it is killed.
        if self._open.acquire(timeout=CLOSE_SECONDS):
            self.connection.close()
            self._open.release()
        try:
            self.process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        with self._open:
            self.connection.close()


def require() -> None:
    """Raise ExtraMissing unless Ray can be imported; does not import it."""
    if find_spec("ray") is None:
        raise ExtraMissing("Studio mode needs Ray: pip install 'gpen-enhance[studio]'.")


def check_token(path: Path) -> None:
    """Refuse a token that is missing, short, or readable by others.

    Raises:
        ConfigInvalid: it is.
    """
    try:
        token, mode = path.read_text(encoding="ascii").strip(), path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigInvalid(
            f"Ray's token cannot be read from {path}: {error}.",
            hint="`gpen-bridge studio up` makes one; copy it to each node.",
        ) from error
    if len(token) < LEAST_TOKEN:
        raise ConfigInvalid(f"Ray's token in {path} has less than {LEAST_TOKEN} characters.")
    if os.name == "posix" and mode & 0o077:
        raise ConfigInvalid(f"Others may read {path}.", hint=f"Run: chmod 600 {path}")


def environment(token_file: Path, identity: Identity | None = None) -> dict[str, str]:
    """This process's environment with Ray's token demanded, and Ray told to be quiet and patient.

    Args:
        identity: of this machine, where the cluster speaks TLS. Ray then takes no connection from whoever
            has none, so that a stranger reaches no method of its at all.
    """
    kept = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"}
    if identity is not None:
        kept |= {
            "RAY_USE_TLS": "1",
            "RAY_TLS_CA_CERT": str(identity.authority),
            "RAY_TLS_SERVER_CERT": str(identity.certificate),
            "RAY_TLS_SERVER_KEY": str(identity.key),
        }
    return kept | {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token_file),
        "RAY_USAGE_STATS_ENABLED": "0",
        # Who is silent is found by our own pulse, in seconds. Ray is to keep a node through a cut cable.
        "RAY_health_check_failure_threshold": "40",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "120",
        # More than the usual 30, for busy machines; not much more, since a start that hangs is repeated.
        "RAY_raylet_start_wait_time_s": "45",
    }


DRIVE = "from bridge.engine.ray_driver import main; main()"


def launch(plan: Plan, code: str = DRIVE) -> Driver:
    """Start a driver in a process of its own, which runs this code."""
    ours, theirs = socket.socketpair()
    # What Ray says when a node goes is not for the bridge's terminal.
    with theirs, plan.token_file.with_name("driver.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
            [sys.executable, "-c", code, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=environment(plan.token_file, plan.identity),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the bridge, which then closes it in good order
        )
    connection = Connection(ours.detach())
    connection.send(plan)
    return Driver(process, connection)


class RayCluster:
    """Calls to Ray's workers; what `Pool` calls a cluster.

    Args:
        describe: looks a checkpoint up.
        launch: starts a driver.

    Raises:
        ConfigInvalid: there is no token that keeps strangers out.
    """

    def __init__(
        self,
        plan: Plan,
        describe: Describe,
        launch: Callable[[Plan], Driver] = launch,
    ) -> None:
        check_token(plan.token_file)
        self._plan = plan
        self._describe = describe
        self._launch = launch
        self._on_report: Callable[[Report], None] = lambda _: None
        self._outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._driver: Driver | None = None
        self._drained: set[str] = set()
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=name, daemon=True)
            for target, name in ((self._send, "ray-out"), (self._supervise, "ray-in"))
        ]

    def start(self, on_report: Callable[[Report], None]) -> None:
        """See `Cluster.start`."""
        self._on_report = on_report
        for thread in self._threads:
            thread.start()

    def submit(self, call: Call) -> None:
        """See `Cluster.submit`."""
        self._outbox.put(call)

    def cancel(self, call: int) -> None:
        """See `Cluster.cancel`."""
        self._outbox.put(("cancel", call))

    def drain(self, node: str, draining: bool) -> None:
        """See `Cluster.drain`."""
        (self._drained.add if draining else self._drained.discard)(node)
        self._outbox.put(("drained", frozenset(self._drained)))

    def close(self) -> None:
        """See `Cluster.close`."""
        if not self._closing.is_set():
            self._closing.set()
            self._outbox.put(None)
            for thread in self._threads:
                thread.join()

    def _send(self) -> None:
        while (message := self._outbox.get()) is not None:
            if isinstance(message, Call):
                try:
                    message = (message, self._describe(message.checkpoint))
                except BridgeError as error:
                    self._on_report(Refused(message.call, error.code, error.detail))
                    continue
            if (driver := self._driver) is not None:
                driver.send(message)  # to one that is gone: its calls are sent again
        if (driver := self._driver) is not None:
            driver.send(None)

    def _supervise(self) -> None:
        while not self._closing.is_set():
            self._driver = driver = self._launch(self._plan)
            self._outbox.put(("drained", frozenset(self._drained)))
            problem = self._listen(driver)
            self._driver = None
            if not self._closing.is_set():
                driver.process.kill()
                self._on_report(Seen((), problem))
            driver.end()
            self._closing.wait(PAUSE)

    def _hears(self, driver: Driver) -> bool:
        """Wait for a report, less long once the bridge ends; False: none comes."""
        left = SILENCE
        while left > 0:
            left = min(left, CLOSE_SECONDS) if self._closing.is_set() else left
            wait = min(left, LOOK)
            if driver.connection.poll(wait):
                return True
            left -= wait
        return False

    def _listen(self, driver: Driver) -> str:
        """Pass reports on until the driver ends; why it did."""
        problem = "The driver of the cluster ended; the next one starts."
        try:
            while self._hears(driver):
                report = driver.connection.recv()
                if isinstance(report, Seen) and report.problem:
                    problem = report.problem
                if not self._closing.is_set():
                    self._on_report(report)
            return "The driver of the cluster hangs; the next one starts."
        except (EOFError, OSError):
            return problem
