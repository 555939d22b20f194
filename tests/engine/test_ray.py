"""The bridge's side of Ray, with a driver that the test plays."""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engine.ray import Driver, Identity, Plan, RayCluster, check_token, environment, launch
from bridge.engine.workers import Call, Done, Published, Refused, Seen, WorkerState
from bridge.errors import CheckpointUnknown, ConfigInvalid
from tests.engine.fakes import some_crops, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Ray's clusters run on Linux")


class FakeProcess:
    """Ends when it is killed; waits for nobody."""

    killed = False

    def kill(self) -> None:
        self.killed = True

    def wait(self, _timeout: float | None = None) -> int:
        return 0


class Drivers:
    """What was launched; the test holds the other end of each pipe."""

    def __init__(self) -> None:
        self.ends: queue.Queue[Connection] = queue.Queue()
        self.reports: queue.Queue[Any] = queue.Queue()

    def launch(self, plan: Plan) -> Driver:
        ours, theirs = socket.socketpair()
        self.ends.put(Connection(theirs.detach()))
        return Driver(FakeProcess(), Connection(ours.detach()))  # type: ignore[arg-type]  # a fake


PUBLISHED = Published("a", Path("a.safetensors"), "0" * 64, 1, "signed", "absolute")
STATE = WorkerState("w", "n", "host", healthy=True)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("x" * 64)
    path.chmod(0o600)
    return path


@pytest.fixture
def drivers() -> Drivers:
    return Drivers()


@pytest.fixture
def cluster(drivers: Drivers, token: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayCluster]:
    monkeypatch.setattr("bridge.engine.ray.PAUSE", 0.01)

    def describe(name: str) -> Published:
        if name != "a":
            raise CheckpointUnknown(f"There is no {name}.")
        return PUBLISHED

    made = RayCluster(Plan("head:1", token, 3, PUBLISHED), describe, drivers.launch)
    made.start(drivers.reports.put)
    yield made
    made.close()


def heard(end: Connection) -> Any:
    """The next message that is not about drained nodes."""
    while True:
        assert end.poll(10)
        message = end.recv()
        if not (isinstance(message, tuple) and message[0] == "drained"):
            return message


def test_a_call_travels_with_its_checkpoint_and_comes_back(cluster: RayCluster, drivers: Drivers) -> None:
    end = drivers.ends.get(timeout=10)
    cluster.submit(Call(1, "w", "a", some_crops(1), True))
    call, published = heard(end)
    assert (call.call, published) == (1, PUBLISHED)
    end.send(Seen((STATE,)))
    end.send(Done(1, call.crop))
    assert drivers.reports.get(timeout=10) == Seen((STATE,))
    assert drivers.reports.get(timeout=10).call == 1
    cluster.cancel(2)
    assert heard(end) == ("cancel", 2)


def test_a_checkpoint_that_is_not_there_is_told_at_once(cluster: RayCluster, drivers: Drivers) -> None:
    cluster.submit(Call(1, "w", "b", some_crops(1), True))
    assert drivers.reports.get(timeout=10) == Refused(1, "checkpoint_unknown", "There is no b.")


def test_a_driver_that_says_nothing_holds_up_no_end(
    cluster: RayCluster, drivers: Drivers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.engine.ray.CLOSE_SECONDS", 0.1)
    silent = drivers.ends.get(timeout=10)
    began = time.monotonic()
    cluster.close()
    assert time.monotonic() - began < 10  # and not the half minute after which it is said to hang
    silent.close()


def test_a_driver_that_ends_is_followed_by_another(cluster: RayCluster, drivers: Drivers) -> None:
    first = drivers.ends.get(timeout=10)
    first.send(Seen((), "The head does not answer."))
    first.close()
    told = [drivers.reports.get(timeout=10) for _ in range(2)]
    assert told == [Seen((), "The head does not answer.")] * 2
    second = drivers.ends.get(timeout=10)
    cluster.submit(Call(7, "w", "a", some_crops(1), True))
    assert heard(second)[0].call == 7


def test_a_driver_that_says_nothing_is_replaced(
    drivers: Drivers, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = drivers.ends.get(timeout=10)
    monkeypatch.setattr("bridge.engine.ray.SILENCE", 0.05)
    first.send(Seen((STATE,)))  # the next wait is short
    assert drivers.reports.get(timeout=10).workers
    assert "hangs" in drivers.reports.get(timeout=10).problem
    assert drivers.ends.get(timeout=10)


def test_a_driver_that_is_ended_under_a_message_costs_only_that_message(
    drivers: Drivers, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.engine.ray.CLOSE_SECONDS", 0.1)
    monkeypatch.setattr("bridge.engine.ray.SILENCE", 0.1)
    first = drivers.ends.get(timeout=10)
    heavy = np.zeros((1, 2048, 2048, 3), np.float32)  # more than a pipe holds
    cluster.submit(Call(1, "w", "a", heavy, True))
    first.send(Seen((STATE,)))  # and then it says nothing, and takes nothing
    assert drivers.reports.get(timeout=10).workers
    assert "hangs" in drivers.reports.get(timeout=10).problem
    first.close()  # as when it is killed
    second = drivers.ends.get(timeout=10)
    cluster.submit(Call(2, "w", "a", some_crops(1), True))
    assert heard(second)[0].call == 2


def test_the_pipe_stays_open_until_the_message_in_it_is_over() -> None:
    ours, theirs = socket.socketpair()
    taken, process = Connection(theirs.detach()), FakeProcess()
    driver = Driver(process, Connection(ours.detach()))  # type: ignore[arg-type]  # a fake
    message = bytes(4_000_000)
    sending = threading.Thread(target=driver.send, args=(message,))
    sending.start()
    assert taken.poll(10)
    ending = threading.Thread(target=driver.end)
    ending.start()
    ending.join(0.1)
    assert taken.recv() == message
    sending.join(10)
    ending.join(10)
    assert driver.connection.closed
    driver.send("in vain")
    taken.close()


def test_a_new_driver_is_told_which_nodes_are_drained(cluster: RayCluster, drivers: Drivers) -> None:
    cluster.drain("n1", True)
    cluster.drain("n2", True)
    cluster.drain("n1", False)
    drivers.ends.get(timeout=10).close()
    second = drivers.ends.get(timeout=10)
    assert second.poll(10)
    assert second.recv() == ("drained", frozenset({"n2"}))


def test_a_bridge_is_the_same_after_a_start_and_not_another_one(tmp_path: Path) -> None:
    plans = [Plan("head:1", tmp_path / name, 3, PUBLISHED) for name in ("a", "a", "b")]
    assert plans[0].bridge == plans[1].bridge != plans[2].bridge


def test_it_does_not_run_without_a_token_of_its_own(tmp_path: Path, token: Path) -> None:
    check_token(token)
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        check_token(tmp_path / "none")
    token.write_text("short")
    with pytest.raises(ConfigInvalid, match="characters"):
        check_token(token)
    token.write_text("x" * 64)
    token.chmod(0o640)
    with pytest.raises(ConfigInvalid, match="Others"):
        RayCluster(Plan("head:1", token, 3, PUBLISHED), lambda _: PUBLISHED)


def test_token_authentication_is_demanded_whatever_the_environment_says(
    token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "another")
    told = environment(token)
    assert told["RAY_AUTH_MODE"] == "token"
    assert told["RAY_AUTH_TOKEN_PATH"] == str(token)
    assert "RAY_AUTH_TOKEN" not in told


def test_where_the_cluster_speaks_tls_ray_is_told_by_which_files(token: Path, tmp_path: Path) -> None:
    assert "RAY_USE_TLS" not in environment(token)
    told = environment(token, Identity(tmp_path))
    assert told["RAY_USE_TLS"] == "1"
    files = ("RAY_TLS_CA_CERT", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY")
    assert [told[name] for name in files] == [
        str(tmp_path / name) for name in ("authority.pem", "node.pem", "node.key")
    ]


def test_a_driver_is_a_process_that_gets_its_plan(token: Path) -> None:
    plan = Plan("head:1", token, 3, PUBLISHED)
    echo = (
        "import sys; from multiprocessing.connection import Connection; c = Connection(int(sys.argv[1]));"
        "c.send(c.recv().address)"
    )
    driver = launch(plan, echo)
    assert driver.connection.poll(20)
    assert driver.connection.recv() == "head:1"
    driver.end()
    assert driver.process.returncode == 0
    wait_until(lambda: not Path(f"/proc/{driver.process.pid}").exists() or os.name != "posix")
