"""The driver's decisions, with actors and nodes that the test plays; benchmarks/studio has a real cluster."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge import __version__, certificates
from bridge.engine.ray import Identity, Plan
from bridge.engine.workers import Call, Done, Lost, Published, Pulse, Refusal, Refused, Seen
from tests.engine.fakes import some_crops

ray = pytest.importorskip("ray", reason="Ray is not installed (extra studio): its driver is not tested")
ray_driver = pytest.importorskip("bridge.engine.ray_driver")


class Method:
    """`actor.method.remote(...)`, as a coroutine."""

    def __init__(self, work: Callable[..., Any]) -> None:
        self._work = work

    def remote(self, *arguments: Any) -> Any:
        async def answer() -> Any:
            result = self._work(*arguments)
            return await result if asyncio.iscoroutine(result) else result

        return answer()


class FakeActor:
    """A worker; what it does is set from outside."""

    def __init__(self) -> None:
        self.has_it, self.kept, self.pid, self.version = False, 0, 7, __version__
        self.verdict: Refusal | None = None
        self.on_pulse: Callable[[], Any] = lambda: None
        self.on_restore: Callable[[Any], Any] = lambda crop: crop * 2
        self.pulse = Method(self._pulse)
        self.has = Method(lambda _: self.has_it)
        self.keep = Method(self._keep)
        self.warm_up = Method(lambda _: self.verdict)
        self.restore = Method(lambda _name, crop, _urgent: self.on_restore(crop))

    async def _pulse(self) -> Pulse:
        result = self.on_pulse()
        if asyncio.iscoroutine(result):
            await result
        return Pulse(self.version, "host", "a device", self.pid)

    def _keep(self, _published: Published, _content: Any) -> None:
        self.kept, self.has_it = self.kept + 1, True


class Stage:
    """A driver with fake nodes and actors."""

    def __init__(self, plan: Plan) -> None:
        self.told: list[Any] = []
        self.actors: list[FakeActor] = []
        self.wanted: list[int] = []
        self.let_go: list[FakeActor] = []
        self.driver = ray_driver.Driver(self, plan)
        self.driver._hire = self._hire

    def send(self, report: Any) -> None:
        self.told.append(report)

    def _hire(self, _worker: str, _node: str, _kind: str) -> FakeActor:
        self.actors.append(FakeActor())
        return self.actors[-1]

    def follow(self, **slots: dict[str, float]) -> None:
        self.driver._follow(
            [
                {"NodeID": name, "NodeManagerHostname": f"{name}.lan", "Alive": True, "Resources": offered}
                for name, offered in slots.items()
            ]
        )

    @property
    def states(self) -> list[Any]:
        return [self.driver._state(slot) for slot in self.driver._slots.values()]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.005)

    def call(self, number: int = 1) -> None:
        worker = next(iter(self.driver._slots), "none")
        self.driver._obey((Call(number, worker, "a", some_crops(1), True), self.driver._plan.first))


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    file = tmp_path / "a.safetensors"
    file.write_bytes(b"weights")
    for name, seconds in (("LOOK", 0.01), ("SILENCE", 0.05)):
        monkeypatch.setattr(ray_driver, name, seconds)
    monkeypatch.setattr(ray, "put", lambda value: value)
    monkeypatch.setattr(ray, "cancel", lambda _: None)
    published = Published("a", file, "0" * 64, 7, "signed", "absolute")
    made = Stage(Plan("head:1", tmp_path / "token", 2, published, most_workers=3))
    monkeypatch.setattr(ray, "kill", made.let_go.append)
    monkeypatch.setattr(ray_driver, "request_resources", lambda *, bundles: made.wanted.append(len(bundles)))
    yield made
    made.follow()
    for task in list(made.driver._calls.values()):
        task.cancel()
    await asyncio.sleep(0)


async def test_each_slot_gets_a_worker_that_is_examined_first(stage: Stage) -> None:
    stage.follow(one={"gpen_gpu": 2.0, "CPU": 4.0}, two={"gpen_cpu": 1.0}, head={})
    assert [(state.worker, state.healthy) for state in stage.states] != []
    await stage.until(lambda: all(state.healthy for state in stage.states))
    assert sorted(state.worker for state in stage.states) == ["one-gpu0", "one-gpu1", "two-cpu0"]
    assert {state.host for state in stage.states} == {"one.lan", "two.lan"}
    assert [actor.kept for actor in stage.actors] == [1, 1, 1]
    stage.follow(two={"gpen_cpu": 1.0})
    assert [state.worker for state in stage.states] == ["two-cpu0"]


async def test_a_worker_that_fails_its_examination_is_not_used(stage: Stage) -> None:
    stage.follow(one={"gpen_gpu": 1.0}, two={"gpen_gpu": 1.0})
    stage.actors[0].verdict = Refusal("self_test_failed", "It computes wrong.")
    stage.actors[1].version = "0.0.1"
    await stage.until(lambda: all(state.device for state in stage.states))
    await asyncio.sleep(0.1)  # some pulses more: it stays so
    problems = sorted(state.problem for state in stage.states)
    assert problems == ["It computes wrong.", f"It has version 0.0.1 of the bridge, not {__version__}."]
    assert not any(state.healthy for state in stage.states)


async def test_silence_makes_a_worker_unhealthy_and_a_pulse_heals_it(stage: Stage) -> None:
    stage.follow(one={"gpen_gpu": 1.0})
    await stage.until(lambda: stage.states[0].healthy)
    gate = asyncio.Event()
    stage.actors[0].on_pulse = gate.wait
    await stage.until(lambda: not stage.states[0].healthy)
    assert "not answered" in stage.states[0].problem
    gate.set()
    await stage.until(lambda: stage.states[0].healthy)
    assert stage.actors[0].kept == 1  # the same process: nothing is brought again


async def test_another_process_is_examined_again(stage: Stage) -> None:
    stage.follow(one={"gpen_gpu": 1.0})
    await stage.until(lambda: stage.states[0].healthy)
    stage.actors[0].verdict = Refusal("self_test_failed", "Now it is wrong.")
    await asyncio.sleep(0.05)
    assert stage.states[0].healthy
    stage.actors[0].pid = 8
    await stage.until(lambda: not stage.states[0].healthy)
    assert stage.states[0].problem == "Now it is wrong."


async def test_how_calls_end(stage: Stage) -> None:
    stage.call(0)
    await stage.until(lambda: stage.told == [Lost(0)])  # no such worker
    stage.follow(one={"gpen_gpu": 1.0})
    stage.call(1)
    await stage.until(lambda: len(stage.told) == 2)
    done = stage.told[1]
    assert isinstance(done, Done)
    np.testing.assert_array_equal(done.crop, some_crops(1) * 2)
    stage.actors[0].on_restore = lambda _: Refusal("out_of_memory", "Full.")
    stage.call(2)
    await stage.until(lambda: stage.told[-1] == Refused(2, "out_of_memory", "Full."))

    def dies(_crop: Any) -> None:
        raise ray.exceptions.ActorUnavailableError("gone", None)

    stage.actors[0].on_restore = dies
    stage.call(3)
    await stage.until(lambda: stage.told[-1] == Lost(3))


async def test_a_cancelled_call_is_told_to_its_worker_and_not_to_the_bridge(stage: Stage) -> None:
    stage.follow(one={"gpen_gpu": 1.0})
    begun, ended = asyncio.Event(), asyncio.Event()

    async def long(_crop: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    stage.actors[0].on_restore = long
    stage.call(1)
    await begun.wait()
    stage.driver._obey(("cancel", 1))
    await asyncio.wait_for(ended.wait(), 5)
    await asyncio.sleep(0.02)
    assert stage.told == []
    assert stage.driver._calls == {}


async def test_a_drained_node_is_told_as_such(stage: Stage) -> None:
    stage.follow(one={"gpen_gpu": 1.0}, two={"gpen_gpu": 1.0})
    stage.driver._obey(("drained", frozenset({"one"})))
    assert {state.node: state.draining for state in stage.states} == {"one": True, "two": False}


async def test_an_autoscaler_is_asked_while_all_places_are_taken(stage: Stage) -> None:
    stage.follow(one={"gpen_gpu": 1.0})
    await stage.until(lambda: stage.states[0].healthy)
    stage.actors[0].on_restore = lambda _: asyncio.sleep(60)
    stage.call(1)
    await stage.driver._grow()
    assert stage.wanted == []  # a place is free
    stage.call(2)
    await stage.driver._grow()
    await stage.driver._grow()
    assert stage.wanted == [2]
    for number in (1, 2):
        stage.driver._obey(("cancel", number))
    await stage.until(lambda: stage.driver._calls == {})
    await stage.driver._grow()
    assert stage.wanted == [2, 0]


async def test_a_head_that_does_not_answer_ends_the_driver(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def recv() -> Any:
        over.wait(10)
        raise EOFError

    def nodes() -> Any:
        raise ray.exceptions.RpcError("gone")

    stage.recv = recv  # type: ignore[attr-defined]  # a played module
    monkeypatch.setattr(ray, "nodes", nodes)
    await asyncio.wait_for(stage.driver.live(), 5)
    assert isinstance(stage.told[-1], Seen)
    assert "does not answer" in stage.told[-1].problem
    over.set()


async def test_a_head_that_is_gone_ends_the_driver_before_ray_gives_it_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(ray, "nodes", lambda: over.wait(20) and [])
    monkeypatch.setattr(ray_driver, "HEAD_LOOK", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        stage.driver._plan = replace(stage.driver._plan, address=address)
        with monkeypatch.context() as short:
            short.setattr(ray_driver, "HEAD_SILENCE", 0.2)
            with pytest.raises(TimeoutError):  # it is silent, but there
                await stage.driver._nodes()
        asking = asyncio.create_task(stage.driver._nodes())
        await asyncio.sleep(0.2)
        assert not asking.done()
    with pytest.raises(ConnectionError):
        await asyncio.wait_for(asking, 5)
    over.set()


async def test_workers_go_with_the_bridge_but_not_with_the_head(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing = threading.Event()

    def recv() -> None:
        closing.wait(10)

    offered = {
        "NodeID": "one",
        "NodeManagerHostname": "one.lan",
        "Alive": True,
        "Resources": {"gpen_gpu": 1.0},
    }
    stage.recv = recv  # type: ignore[attr-defined]  # a played module
    monkeypatch.setattr(ray, "nodes", lambda: [offered])
    living = asyncio.create_task(stage.driver.live())
    await stage.until(lambda: any(state.healthy for state in stage.states))
    assert stage.let_go == []
    closing.set()
    await asyncio.wait_for(living, 5)
    assert stage.let_go == stage.actors


def test_a_driver_waits_for_the_head_and_reports_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = multiprocessing.Pipe()
    published = Published("a", tmp_path / "a", "0" * 64, 7, "signed", "absolute")
    heads = iter([False, False, True, False])
    monkeypatch.setattr(ray_driver, "knock", lambda _address: next(heads))
    monkeypatch.setattr(ray_driver, "KNOCK", 0.01)
    driver = ray_driver.Driver(theirs, Plan("head:1", tmp_path / "token", 2, published))
    ours.send(("drained", frozenset({"n1"})))
    ours.send((Call(1, "gone", "a", some_crops(1), True), published))
    assert driver.wait_for_head()
    assert driver._drained == {"n1"}
    assert "No head" in ours.recv().problem
    ours.send(None)
    assert not driver.wait_for_head()  # the bridge closes first
    ours.close()
    theirs.close()


def test_a_knock_tells_whether_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert ray_driver.knock(address)
    assert not ray_driver.knock(address)


@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("import sys; sys.exit('ray.exceptions.AuthenticationError: no')", True),
        ("import sys; sys.exit('ConnectionError: nobody')", False),
        ("", False),
        ("import time; time.sleep(60)", False),
    ],
)
def test_only_a_stranger_who_lacks_the_token_was_refused(
    code: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_driver, "AS_A_STRANGER", code)
    monkeypatch.setattr(ray_driver, "STRANGER_SECONDS", 1.0 if "sleep" in code else 20.0)
    stranger = ray_driver.as_a_stranger("head:1")
    ray_driver.send_in(stranger)
    assert ray_driver.was_refused(stranger) is refused


SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""An HTTP/2 frame: what a server says first to whoever it lets in."""


@contextlib.contextmanager
def head(
    identity: Identity, demands: ssl.VerifyMode, *, newest: bool = True, says: bytes = SETTINGS
) -> Iterator[str]:
    """A server as the head is one, which speaks HTTP/2 only; where it is."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=identity.authority)
    context.load_cert_chain(identity.certificate, identity.key)
    context.verify_mode = demands
    context.set_alpn_protocols(["h2"])
    if not newest:
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with (
                connection,
                contextlib.suppress(OSError),
                context.wrap_socket(connection, server_side=True) as channel,
            ):
                if channel.selected_alpn_protocol() == "h2":
                    channel.sendall(says)
                    while channel.recv(64):
                        pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    pytest.importorskip("cryptography", reason="the extra studio brings it")
    return certificates.for_cluster(tmp_path / "cluster", "t" * 64, "127.0.0.1")


@pytest.mark.parametrize("newest", [True, False], ids=["TLS 1.3", "TLS 1.2"])
def test_a_head_that_demands_a_certificate_is_told_from_one_that_does_not(
    identity: Identity, newest: bool
) -> None:
    with head(identity, ssl.CERT_REQUIRED, newest=newest) as address:
        assert ray_driver.demands_a_certificate(address, identity)
    for lax in (ssl.CERT_OPTIONAL, ssl.CERT_NONE):
        with head(identity, lax, newest=newest) as address:
            assert not ray_driver.demands_a_certificate(address, identity)


def test_who_turns_everybody_away_proves_nothing(
    identity: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_driver, "KNOCK_SECONDS", 0.5)
    other = certificates.for_cluster(tmp_path / "other", "u" * 64, "127.0.0.1")
    with head(other, ssl.CERT_REQUIRED) as address:  # another cluster's
        assert not ray_driver.demands_a_certificate(address, identity)
    with head(identity, ssl.CERT_REQUIRED, says=b"") as address:  # silent
        assert not ray_driver.demands_a_certificate(address, identity)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # not TLS at all
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert not ray_driver.demands_a_certificate(address, identity)
    assert not ray_driver.demands_a_certificate(address, identity)  # nobody there


class Context:
    """What `ray.init` tells."""

    def __init__(self, dashboard_url: str = "") -> None:
        self.dashboard_url = dashboard_url


@pytest.mark.parametrize(
    ("demands", "dashboard", "wrong"),
    [
        (ssl.CERT_REQUIRED, "", ""),
        (ssl.CERT_NONE, "", "without its token"),
        (ssl.CERT_REQUIRED, "10.0.0.2:8265", "dashboard"),
    ],
)
def test_a_cluster_with_our_certificates_is_used_only_if_it_demands_them(
    demands: ssl.VerifyMode,
    dashboard: str,
    wrong: str,
    identity: Identity,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: Context(dashboard))
    published = Published("a", tmp_path / "a", "0" * 64, 7, "signed", "absolute")
    with head(identity, demands) as address:
        plan = Plan(address, tmp_path / "token", 2, published, identity=identity)
        told = ray_driver.why_not(plan, None)
        assert wrong in told
        assert bool(told) == bool(wrong)
        assert "without its token" in ray_driver.why_not(replace(plan, identity=None), None)


@pytest.mark.parametrize(
    ("code", "wrong"), [("import sys; sys.exit('AuthenticationError')", ""), ("", "without its token")]
)
def test_a_cluster_without_our_certificates_is_tried_by_a_stranger(
    code: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "init", lambda **_: Context())
    monkeypatch.setattr(ray_driver, "AS_A_STRANGER", code)
    published = Published("a", tmp_path / "a", "0" * 64, 7, "signed", "absolute")
    plan = Plan("head:1", tmp_path / "token", 2, published)
    told = ray_driver.why_not(plan, ray_driver.as_a_stranger(plan.address))
    assert wrong in told
    assert bool(told) == bool(wrong)
