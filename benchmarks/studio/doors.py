"""Every port that the cluster listens on, and every method there, tried by those who should not get in.

The methods are those that Ray's own programs carry in them, so that none can be forgotten; with certificate
and token one harmless method of each port is called, to know that it was those that were missing. After
each call it is looked whether the program that was called still runs.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.studio.passes import NETWORK, crops, pool
from bridge import certificates
from bridge.engine.ray import Identity

METHOD = re.compile(rb"/(?:ray|grpc)\.[\w.]+/\w+")
HARMLESS = {
    "head": "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "node manager": "/ray.rpc.NodeManagerService/GetNodeStats",
    "object manager": "/ray.rpc.ObjectManagerService/Pull",
    "worker": "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
    "driver": "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
}
ROUTES = ("/get_runtime_envs_info", "/get_or_create_runtime_env", "/delete_runtime_env_if_possible", "/")
REFUSED = {"401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED"}
NO_HANDSHAKE = "UNAVAILABLE"
NOTHING_THERE = {"404", "405", "UNIMPLEMENTED"}
SECONDS = 5.0
FATAL = "/ray.rpc.syncer.RaySyncer/StartSync"
KNOWN = {
    "/grpc.health.": "gRPC's own: whether a program lives",
    "/grpc.channelz.": "gRPC's own: which connections there are",
    "/grpc.reflection.": "gRPC's own: which methods there are",
    FATAL: "looks for the caller's node before it looks for the token, and ends the head when none is named",
}
"""What Ray 2.60.0 leaves open behind the TLS handshake, by the beginning of its name. No hole here: only who
has the token has a certificate, and whoever has none reaches no method."""
HESITATIONS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds before a call says its message, one try after the other: a stream that the server closes while it
is being sent ends as INTERNAL, whatever the verdict."""


@dataclass(frozen=True)
class Port:
    """One that a program of the cluster listens on.

    Attributes:
        at: the address that it is bound to; `*`: all of the machine's.
        program: what listens.
        pid: its process.
    """

    number: int
    at: str
    program: str
    pid: int

    @property
    def reached_at(self) -> str:
        """Where to try it."""
        host = "127.0.0.1" if self.at in ("*", "0.0.0.0", "[::]") else self.at  # noqa: S104 - only compared
        return f"{host}:{self.number}"

    @property
    def lives(self) -> bool:
        """Whether its process still runs."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except OSError:
            return False


@dataclass(frozen=True)
class Caller:
    """Somebody who should not get in, or the one who should.

    Attributes:
        tls: certificate and authority; None: speaks without TLS.
        shows_it: whether the certificate is shown.
        trusts: whose authority is believed to have signed the other side's certificate.
    """

    name: str
    token: str | None
    tls: Identity | None = None
    shows_it: bool = True
    trusts: Identity | None = None

    def channel(self, target: str) -> Any:
        """A connection of its own."""
        import grpc

        own = [("grpc.use_local_subchannel_pool", 1)]
        if self.tls is None:
            return grpc.aio.insecure_channel(target, options=own)
        shown = (
            (self.tls.key.read_bytes(), self.tls.certificate.read_bytes()) if self.shows_it else (None, None)
        )
        believed = (self.trusts or self.tls).authority.read_bytes()
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(believed, *shown), options=own)


@dataclass
class Tried:
    """What a port said to one caller, by method; and which calls its program did not outlive."""

    said: dict[str, str] = field(default_factory=dict)
    ended_it: list[str] = field(default_factory=list)


async def doors(folder: Path, _items: int, _cut: float) -> dict[str, Any]:
    """A table of ports; what answers a stranger, or dies of one, is counted."""
    async with pool(folder, 2) as there:
        await asyncio.to_thread(there.restore, NETWORK, crops(2))
        right, ours = (folder / "ray.token").read_text(), Identity(folder / "cluster")
        theirs = certificates.for_cluster(folder / "other", "wrong" * 8, "127.0.0.1")
        strangers = [
            Caller("without TLS", None),
            Caller("without a certificate", None, ours, shows_it=False),
            Caller("certificate and token of another cluster", "wrong" * 8, theirs, trusts=ours),
        ]
        insiders = [
            Caller("certificate, no token", None, ours),
            Caller("certificate, wrong token", "wrong" * 8, ours),
        ]
        member = Caller("certificate and token", right, ours)
        ports = listening(os.getpid())
        table = [await _row(port, strangers, insiders, member) for port in ports]
        alive = [port.lives for port in ports]
        (head,) = [port for port in ports if port.program == "head"]
        await _ask(head, insiders[0], FATAL)  # last, since it is known to end the head
        await asyncio.sleep(1)
    return {
        "must_be_zero": {
            "ports_open_to_strangers": sum(bool(row["open"]) for row in table),
            "ports_that_refuse_the_token_too": sum(row[member.name] not in ("OK", "200") for row in table),
            "programs_that_a_call_ended": sum(bool(row["ended_by"]) for row in table),
            "programs_gone_afterwards": alive.count(False),
        },
        "ports": table,
        "known": KNOWN,
        "the_head_outlived_the_known_call": head.lives,
    }


async def _row(port: Port, strangers: list[Caller], insiders: list[Caller], member: Caller) -> dict[str, Any]:
    """What a port says to strangers, to those who lack only the token, and to whoever has both."""
    row: dict[str, Any] = {"port": port.number, "bound_to": port.at, "program": port.program}
    opened, ended = [], []
    questions: Sequence[str]
    if port.program == "environment agent":  # HTTP, and no TLS
        strangers, insiders = [], [Caller("no token", None), Caller("wrong token", "wrong" * 8)]
        questions, known = ROUTES, ROUTES[0]
    else:
        questions, known = methods(), HARMLESS.get(port.program, "")
    for caller in (*strangers, *insiders):
        inside = caller in insiders
        refusal = REFUSED | NOTHING_THERE if inside else {NO_HANDSHAKE}
        asked = [one for one in questions if not (inside and one.startswith(tuple(KNOWN)))]
        tried = await _tried(port, caller, asked)
        row[caller.name] = dict(Counter(tried.said.values()))
        opened += [f"{caller.name}: {one}" for one, said in tried.said.items() if said not in refusal]
        ended += [f"{caller.name}: {one}" for one in tried.ended_it]
    row["tried"] = len(questions)
    row[member.name] = await _ask(port, member, known)
    row["open"] = opened
    row["ended_by"] = ended
    return row


async def _tried(port: Port, caller: Caller, questions: Sequence[str]) -> Tried:
    tried = Tried()
    for one in questions:
        alive = port.lives
        tried.said[one] = await _ask(port, caller, one)
        if alive and not port.lives:
            tried.ended_it.append(one)
    return tried


def methods() -> tuple[str, ...]:
    """Every gRPC method whose path Ray's programs carry."""
    import ray

    home = Path(ray.__file__).parent
    programs = (
        home / "core/src/ray/gcs/gcs_server",
        home / "core/src/ray/raylet/raylet",
        *home.glob("_raylet*"),
    )
    found = {
        match.decode() for path in programs if path.is_file() for match in METHOD.findall(path.read_bytes())
    }
    return tuple(sorted(found | set(HARMLESS.values())))


def listening(root: int) -> list[Port]:
    """Every TCP port of whatever a process started, and of what that started."""
    family = set(_family(root))
    # Linux, where a cluster runs, has it on its path.
    told = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    found = []
    for line in told.splitlines():
        pids = [int(pid) for pid in re.findall(r"pid=(\d+)", line)]
        if ours := family.intersection(pids):
            at, _, told_number = line.split()[3].rpartition(":")
            found.append((int(told_number), at, min(ours)))
    raylets = Counter(pid for _, _, pid in found if _name(pid) == "raylet")
    ports = []
    for number, host, pid in sorted(found):
        program = _name(pid)
        if program == "raylet":  # both its ports are in the order of `Ports`
            program = "node manager" if raylets[pid] > 1 else "object manager"
            raylets[pid] -= 1
        ports.append(Port(number, host, program, pid))
    return ports


def _name(pid: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    first = command.split()[0]
    for part, name in (
        ("gcs_server", "head"),
        ("raylet/raylet", "raylet"),
        ("ray::Runtime", "environment agent"),
        ("runtime_env/agent", "environment agent"),
        ("ray::", "worker"),
    ):
        if part in first or (part != "ray::" and part in command):
            return name
    return "driver" if "ray_driver" in command else first


def _family(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    pending = [root]
    while pending:
        yield (one := pending.pop())
        pending += children.get(one, [])


async def _ask(port: Port, caller: Caller, question: str) -> str:
    """How one empty message ends: a status of HTTP or gRPC; OK when it is answered."""
    if port.program == "environment agent":
        headers = {} if caller.token is None else {"Authorization": f"Bearer {caller.token}"}
        async with (
            aiohttp.ClientSession(f"http://{port.reached_at}", headers=headers) as session,
            session.post(question, data=b"") as answer,
        ):
            return str(answer.status)
    import grpc

    async def message(hesitation: float) -> AsyncIterator[bytes]:
        await asyncio.sleep(hesitation)
        yield b""

    metadata = [] if caller.token is None else [("authorization", f"Bearer {caller.token}")]
    said = ""
    async with caller.channel(port.reached_at) as channel:
        for hesitation in HESITATIONS:
            answers = channel.stream_stream(question)(message(hesitation), metadata=metadata, timeout=SECONDS)
            try:
                async for _ in answers:
                    break
            except grpc.aio.AioRpcError as error:
                said = str(error.code().name)
                if said != "INTERNAL":
                    return said
            else:
                answers.cancel()
                return "OK"
    return said
