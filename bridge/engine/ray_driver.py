"""The driver: the process that speaks to Ray. One actor for each slot of each node, a pulse a second.

Hears calls from the bridge over a pipe, reports how they ended and how the workers are. Decides nothing
about the work: whoever is silent is reported as unhealthy, and a call whose worker broke as lost.
It ends when the cluster's head does not answer; the bridge then starts another one, which waits for the
head with Ray imported. Workers belong to the cluster, by name: they outlive a driver, and the next one
finds them with their networks loaded. They go when the bridge closes.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.autoscaler.sdk import request_resources
from ray.exceptions import ActorDiedError, RayError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bridge import __version__
from bridge.engine.ray import Identity, Plan
from bridge.engine.workers import (
    Call,
    Crop,
    Done,
    Equipment,
    Lost,
    Published,
    Pulse,
    Refusal,
    Refused,
    Report,
    Seen,
    WorkerState,
)
from bridge.errors import EngineError

LOOK = 1.0
"""Seconds between two pulses of a worker, and between two looks at the nodes."""
SILENCE = 3.0
"""Seconds that a pulse may take; then the worker is unhealthy until one comes."""
HEAD_SILENCE = 10.0
"""Seconds that the head may take to name the nodes."""
HEAD_LOOK = 0.5
"""Seconds after which it is looked whether a head that has not named them is gone."""
KNOCK = 0.2
"""Seconds between two looks whether there is a head."""
KNOCK_SECONDS = 3.0
"""For the head to take a connection."""
GOODBYE = 2.0
"""Seconds that a driver takes to let its workers go."""
HIRING = 180.0
"""Seconds that a worker may take to start and to import torch."""
SLOTS = {"gpen_gpu": 1.0, "gpen_cpu": 0.0}
"""What nodes offer, as Ray's resources; each slot with the GPUs that its worker takes."""
STRANGER_SECONDS = 30.0
"""For a client without the token to be turned away."""
EQUIPMENT = "GPEN_EQUIPMENT"
HTTP2_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
"""What opens a connection, with empty settings: RFC 9113, 3.4. The other side answers with its own."""
AS_A_STRANGER = """
import sys
from ray._raylet import GcsClient
sys.stdin.read()
GcsClient(address=sys.argv[1]).internal_kv_keys(b"", b"", timeout=5)
"""


class Actor:
    """The worker as Ray holds it; the node imports what it needs, the driver does not."""

    def __init__(self, concurrency: int) -> None:
        from bridge.engine.ray_worker import Worker

        self._worker = Worker(Equipment.read(os.environ[EQUIPMENT]), concurrency)

    async def pulse(self) -> Pulse:
        """See `Worker.pulse`."""
        return await self._worker.pulse()

    async def has(self, published: Published) -> bool:
        """See `Worker.has`."""
        return await self._worker.has(published)

    async def keep(self, published: Published, content: NDArray[np.uint8]) -> Refusal | None:
        """See `Worker.keep`."""
        return await self._worker.keep(published, content)

    async def warm_up(self, checkpoint: str) -> Refusal | None:
        """See `Worker.warm_up`."""
        return await self._worker.warm_up(checkpoint)

    async def restore(self, checkpoint: str, crop: Crop, urgent: bool) -> Crop | Refusal:
        """See `Worker.restore`."""
        return await self._worker.restore(checkpoint, crop, urgent)


@dataclass(eq=False)
class Slot:
    """One worker's place on a node, and who fills it."""

    state: WorkerState
    actor: Any
    tending: asyncio.Task[None] | None = None
    brought: set[str] = field(default_factory=set)
    bringing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Driver:
    """Lives in one event loop; a thread listens to the pipe."""

    def __init__(self, connection: Connection, plan: Plan) -> None:
        self._connection = connection
        self._plan = plan
        self._slots: dict[str, Slot] = {}
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._contents: dict[str, Any] = {}
        self._drained: frozenset[str] = frozenset()
        self._ended = asyncio.Event()
        self._news = asyncio.Event()
        self._wanted = 0

    def wait_for_head(self) -> bool:
        """Until the head takes connections; False when the bridge is gone first."""
        try:
            while not knock(self._plan.address):
                self._tell(Seen((), f"No head of a cluster answers at {self._plan.address}."))
                while self._connection.poll(KNOCK):
                    match self._connection.recv():
                        case None:
                            return False
                        case ("drained", nodes):
                            self._drained = nodes
                        # Calls for workers of a driver before: the pool has taken them back.
        except (EOFError, OSError):
            return False
        return True

    async def live(self) -> None:
        """Until the bridge or the cluster is gone."""
        loop = asyncio.get_running_loop()

        def listen() -> None:
            with suppress(EOFError, OSError):
                while (message := self._connection.recv()) is not None:
                    loop.call_soon_threadsafe(self._obey, message)
            with suppress(RuntimeError):  # the loop has ended first
                loop.call_soon_threadsafe(self._end)

        threading.Thread(target=listen, name="pipe", daemon=True).start()
        while not self._ended.is_set():
            try:
                nodes = await self._nodes()
            except (RayError, TimeoutError, ConnectionError, RuntimeError) as error:
                self._tell(Seen((), f"The cluster's head does not answer: {type(error).__name__}."))
                return
            self._follow(nodes)
            await self._grow()
            self._tell(Seen(tuple(self._state(slot) for slot in self._slots.values())))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK)
            self._news.clear()
        actors = [slot.actor for slot in self._slots.values()]
        with suppress(TimeoutError, RayError):
            await asyncio.wait_for(asyncio.to_thread(lambda: list(map(ray.kill, actors))), GOODBYE)

    async def _nodes(self) -> list[dict[str, Any]]:
        """What the head says of its nodes.

        Ray waits for a head that is gone. We do not: the next driver is to be there before the next head.

        Raises:
            ConnectionError: nothing listens where the head did.
            TimeoutError: the head is silent.
        """
        asked: asyncio.Future[list[dict[str, Any]]] = asyncio.ensure_future(asyncio.to_thread(ray.nodes))
        for _ in range(round(HEAD_SILENCE / HEAD_LOOK)):
            if (await asyncio.wait({asked}, timeout=HEAD_LOOK))[0]:
                return asked.result()
            if await asyncio.to_thread(refuses, self._plan.address):
                raise ConnectionError
        raise TimeoutError

    def _end(self) -> None:
        self._ended.set()
        self._news.set()

    def _tell(self, report: Report) -> None:
        with suppress(OSError):  # the bridge is gone; the listening thread notices
            self._connection.send(report)

    def _state(self, slot: Slot) -> WorkerState:
        return replace(slot.state, draining=slot.state.node in self._drained)

    # --- the bridge's wishes ------------------------------------------------------------------

    def _obey(self, message: Any) -> None:
        match message:
            case ("cancel", number):
                if (task := self._calls.get(number)) is not None:
                    task.cancel()
            case ("drained", nodes):
                self._drained = nodes
            case (Call() as call, Published() as published):
                task = asyncio.get_running_loop().create_task(self._run(call, published))
                self._calls[call.call] = task
                task.add_done_callback(lambda _: self._calls.pop(call.call, None))

    async def _run(self, call: Call, published: Published) -> None:
        """One call to its end, which is reported; unless it is cancelled, which then the worker is too."""
        slot, answer = self._slots.get(call.worker), None
        if slot is None:
            self._tell(Lost(call.call))
            return
        try:
            if (refusal := await self._bring(slot, published)) is not None:
                self._tell(Refused(call.call, refusal.code, refusal.detail))
                return
            answer = slot.actor.restore.remote(call.checkpoint, ray.put(call.crop), call.urgent)
            result = await answer
        except asyncio.CancelledError:
            if answer is not None:
                ray.cancel(answer)
            raise
        except TaskCancelledError:
            return
        except RayError:
            self._tell(Lost(call.call))
            return
        except OSError as error:
            self._tell(Refused(call.call, EngineError.code, f"{published.path} cannot be read: {error}."))
            return
        if isinstance(result, Refusal):
            self._tell(Refused(call.call, result.code, result.detail))
        else:
            self._tell(Done(call.call, result))

    # --- nodes and their workers ----------------------------------------------------------------

    def _follow(self, nodes: list[dict[str, Any]]) -> None:
        """A slot for each that a living node offers; none for a dead one."""
        offered: dict[str, tuple[str, str, str]] = {}
        for node in nodes:
            for kind in SLOTS:
                for number in range(int(node["Resources"].get(kind, 0)) if node["Alive"] else 0):
                    worker = f"{node['NodeID'][:12]}-{kind.removeprefix('gpen_')}{number}"
                    offered[worker] = (node["NodeID"], node["NodeManagerHostname"], kind)
        for worker in self._slots.keys() - offered.keys():
            slot = self._slots.pop(worker)
            if slot.tending is not None:
                slot.tending.cancel()
        for worker in offered.keys() - self._slots.keys():
            node_id, host, kind = offered[worker]
            state = WorkerState(worker, node_id, host, problem="It is starting.")
            self._slots[worker] = slot = Slot(state, self._hire(worker, node_id, kind))
            slot.tending = asyncio.get_running_loop().create_task(self._tend(slot))

    async def _grow(self) -> None:
        """Ask the autoscaler, if the cluster has one, for one more while all are full, for none when idle."""
        places = self._plan.in_flight * sum(slot.state.healthy for slot in self._slots.values())
        wanted = self._wanted
        if not self._calls:
            wanted = 0
        elif len(self._calls) >= places:
            wanted = min(len(self._slots) + 1, self._plan.most_workers)
        if wanted != self._wanted and self._plan.most_workers:
            self._wanted = wanted
            await asyncio.to_thread(request_resources, bundles=[{"gpen_gpu": 1}] * wanted)

    def _hire(self, worker: str, node_id: str, kind: str) -> Any:
        """The worker that a driver before this one hired, or a new one."""
        return (
            ray.remote(Actor)
            .options(
                name=f"{self._plan.bridge}-{worker}",
                lifetime="detached",
                get_if_exists=True,
                num_cpus=0,
                num_gpus=SLOTS[kind],
                resources={kind: 1},
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False),
                max_concurrency=self._plan.in_flight + 8,
                max_restarts=-1,
                max_task_retries=0,  # the pool tries again, at once and elsewhere
            )
            .remote(self._plan.in_flight)
        )

    async def _tend(self, slot: Slot) -> None:
        """Feel a worker's pulse; one that is new, or came back as another process, is examined first."""
        known, verdict, patience = 0, "", HIRING
        while True:
            try:
                pulse: Pulse = await asyncio.wait_for(slot.actor.pulse.remote(), patience)
                if pulse.pid != known:
                    slot.brought.clear()
                    verdict, known = await self._examine(slot, pulse), pulse.pid
                    pulse = await slot.actor.pulse.remote()  # now it knows which networks it has
                self._record(slot, pulse, verdict)
                patience = SILENCE
            except TimeoutError:
                self._unwell(slot, f"It has not answered for {SILENCE:.0f} seconds.")
            except ActorDiedError as error:
                self._unwell(slot, _first_line(error))
                state = slot.state
                slot.actor = self._hire(state.worker, state.node, _kind_of(slot))
                known, patience = 0, HIRING
            except (RayError, OSError) as error:  # its process ended, or the checkpoint's file is not there
                self._unwell(slot, _first_line(error))
                patience = HIRING
            await asyncio.sleep(LOOK)

    async def _examine(self, slot: Slot, pulse: Pulse) -> str:
        """What keeps a worker from being used; empty when nothing does."""
        if pulse.version != __version__:
            return f"It has version {pulse.version} of the bridge, not {__version__}."
        refusal = await self._bring(slot, self._plan.first)
        if refusal is None:
            refusal = await slot.actor.warm_up.remote(self._plan.first.name)
        return "" if refusal is None else refusal.detail

    def _record(self, slot: Slot, pulse: Pulse, problem: str) -> None:
        self._change(
            slot,
            device=pulse.device,
            healthy=not problem,
            problem=problem,
            checkpoints=pulse.checkpoints,
            pid=pulse.pid,
        )

    def _unwell(self, slot: Slot, problem: str) -> None:
        self._change(slot, healthy=False, problem=problem)

    def _change(self, slot: Slot, **facts: Any) -> None:
        """Who is used from now on, or no more, is told at once: work waits for it, or hangs with it."""
        before, slot.state = slot.state, replace(slot.state, **facts)
        if slot.state.healthy != before.healthy:
            self._news.set()

    async def _bring(self, slot: Slot, published: Published) -> Refusal | None:
        """Make sure that a node has a checkpoint; None when it has."""
        async with slot.bringing:
            if published.sha256 in slot.brought:
                return None
            if not await slot.actor.has.remote(published):
                if published.sha256 not in self._contents:
                    content = await asyncio.to_thread(published.path.read_bytes)
                    self._contents[published.sha256] = ray.put(np.frombuffer(content, np.uint8))
                refusal: Refusal | None = await slot.actor.keep.remote(
                    published, self._contents[published.sha256]
                )
                if refusal is not None:
                    return refusal
            slot.brought.add(published.sha256)
        if not any(other.bringing.locked() for other in self._slots.values()):
            self._contents.clear()  # nobody fetches one now: give the object store its room back
        return None


def _kind_of(slot: Slot) -> str:
    return next(kind for kind in SLOTS if kind.removeprefix("gpen_") in slot.state.worker.split("-")[1])


def _first_line(error: BaseException) -> str:
    return (str(error).partition("\n")[0] or type(error).__name__)[:300]


def knock(address: str) -> bool:
    """Whether something takes connections at host:port."""
    return _knocked(address) is None


def refuses(address: str) -> bool:
    """Whether the machine at host:port is there, and nothing listens."""
    return isinstance(_knocked(address), ConnectionRefusedError)


def _knocked(address: str) -> OSError | None:
    """Why no connection came about; None if one did."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except OSError as error:
        return error
    return None


def as_a_stranger(address: str) -> subprocess.Popen[bytes]:
    """Somebody who has no token, ready to try to come in; `send_in` and `was_refused` tell the rest.

    Begun before there is a head, since to import Ray takes longer than the try. Where a cluster of somebody
    else's speaks TLS it has this machine's certificate: the token has to be demanded for itself.
    """
    kept = ("RAY_USE_TLS", "RAY_TLS_")
    bare = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("RAY_") or name.startswith(kept)
    }
    return subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", AS_A_STRANGER, address],
        env=bare | {"RAY_AUTH_MODE": "disabled"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def send_in(stranger: subprocess.Popen[bytes]) -> None:
    """Let it try, now that there is a head."""
    if stranger.stdin is not None:
        stranger.stdin.close()
        stranger.stdin = None


def was_refused(stranger: subprocess.Popen[bytes]) -> bool:
    """Whether a client without the token was turned away, and for the lack of it."""
    try:
        _, said = stranger.communicate(timeout=STRANGER_SECONDS)
    except subprocess.TimeoutExpired:
        stranger.kill()
        stranger.communicate()
        return False
    return stranger.returncode != 0 and b"AuthenticationError" in said


def demands_a_certificate(address: str, identity: Identity) -> bool:
    """Whether host:port lets this machine in, and nobody who has no certificate.

    The certificate follows from the cluster's token (`certificates.for_cluster`), so whoever lacks the token
    lacks it too. False also when this machine is not let in, or nothing is said in time: then it is not
    known for what reason a stranger would be turned away.
    """
    try:
        return _let_in(address, identity, certified=True) and not _let_in(address, identity, certified=False)
    except OSError:
        return False


def _let_in(address: str, identity: Identity, *, certified: bool) -> bool:
    """Whether a caller hears anything beyond the TLS handshake.

    In TLS 1.3 the caller's side of it is over before the other side has seen that there is no certificate:
    the refusal then comes in place of the first answer.

    Raises:
        OSError: no connection, or neither an answer nor a refusal within `KNOCK_SECONDS`.
    """
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=identity.authority)
    context.set_alpn_protocols(["h2"])  # or gRPC refuses everybody
    if certified:
        context.load_cert_chain(identity.certificate, identity.key)
    with socket.create_connection((host, int(port)), KNOCK_SECONDS) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=host) as channel:
                channel.sendall(HTTP2_PREFACE)
                return channel.recv(1) != b""
        except (ssl.SSLError, ConnectionError):
            return False


def why_not(plan: Plan, stranger: subprocess.Popen[bytes] | None) -> str:
    """Connect; what is wrong with the cluster, or empty.

    Args:
        stranger: tries to come in beside us; None where the cluster has to demand our certificate.
    """
    if stranger is not None:
        send_in(stranger)
    try:
        context = ray.init(
            address=plan.address, namespace="gpen", log_to_driver=False, logging_level=logging.ERROR
        )
    except (RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
        if stranger is not None:
            stranger.kill()
        return f"The cluster at {plan.address} cannot be reached: {_first_line(error)}"
    if stranger is not None:
        refused = was_refused(stranger)
    else:
        refused = plan.identity is not None and demands_a_certificate(plan.address, plan.identity)
    if not refused:
        return f"The cluster at {plan.address} lets clients in without its token: the bridge does not use it."
    if context.dashboard_url:
        return f"The cluster's dashboard is on, at {context.dashboard_url}: the bridge does not use it."
    return ""


def main() -> None:
    """The process; its argument is the number of the pipe."""
    connection = Connection(int(sys.argv[1]))
    plan: Plan = connection.recv()
    driver = Driver(connection, plan)
    stranger = as_a_stranger(plan.address) if plan.identity is None else None
    if driver.wait_for_head():
        if problem := why_not(plan, stranger):
            connection.send(Seen((), problem))
        else:
            asyncio.run(_live(driver))
    os._exit(0)


async def _live(driver: Driver) -> None:
    await driver.live()
    # Ray's own goodbye, and a thread that asks it, may wait for a head that is gone.
    os._exit(0)
