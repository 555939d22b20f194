"""Every port that the cluster listens on, and every method there, tried without and with a wrong token.

The methods are those that Ray's own programs carry in them, so that none can be forgotten; with the right
token one harmless method of each port is called, to know that it was a token that was missing.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.studio.passes import NETWORK, crops, pool

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
NOTHING_THERE = {"404", "405", "UNIMPLEMENTED"}
HEALTH = "/grpc.health.v1.Health/"
"""Whether a program lives, which load balancers ask; Ray lets everybody know."""
SECONDS = 5.0


@dataclass(frozen=True)
class Port:
    """One that a program of the cluster listens on.

    Attributes:
        at: the address that it is bound to; `*`: all of the machine's.
        program: what listens.
    """

    number: int
    at: str
    program: str

    @property
    def reached_at(self) -> str:
        """Where to try it."""
        host = "127.0.0.1" if self.at in ("*", "0.0.0.0", "[::]") else self.at  # noqa: S104 - only compared
        return f"{host}:{self.number}"


async def doors(folder: Path, _items: int, _cut: float) -> dict[str, Any]:
    """A table of ports; what answers a stranger is counted."""
    async with pool(folder, 2) as there:
        await asyncio.to_thread(there.restore, NETWORK, crops(2))
        right = (folder / "ray.token").read_text()
        table = [await _tried(port, right) for port in listening(os.getpid())]
    return {
        "must_be_zero": {
            "ports_open_to_strangers": sum(bool(row["open"]) for row in table),
            "ports_that_refuse_the_token_too": sum(
                row["with_the_token"] not in ("OK", "200") for row in table
            ),
        },
        "ports": table,
    }


async def _tried(port: Port, right: str) -> dict[str, Any]:
    """What a port says to strangers, and to whoever has the token."""
    ask, questions = _by_grpc, methods()
    known = HARMLESS.get(port.program, "")
    if port.program == "environment agent":
        ask, questions, known = _by_http, ROUTES, ROUTES[0]
    without = await ask(port, questions, None)
    wrong = await ask(port, questions, "wrong" * 8)
    (with_it,) = (await ask(port, (known,), right)).values()
    harmless = REFUSED | NOTHING_THERE
    answered = sorted(one for one in questions if not {without[one], wrong[one]} <= harmless)
    return {
        "port": port.number,
        "bound_to": port.at,
        "program": port.program,
        "tried": len(questions),
        "without_a_token": dict(Counter(without.values())),
        "with_a_wrong_one": dict(Counter(wrong.values())),
        "with_the_token": with_it,
        "health": [one for one in answered if one.startswith(HEALTH)],
        "open": [one for one in answered if not one.startswith(HEALTH)],
    }


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
        ports.append(Port(number, host, program))
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


async def _by_http(port: Port, paths: Sequence[str], token: str | None) -> dict[str, str]:
    """The status of each path."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    said = {}
    async with aiohttp.ClientSession(f"http://{port.reached_at}", headers=headers) as session:
        for path in paths:
            async with session.post(path, data=b"") as answer:
                said[path] = str(answer.status)
    return said


async def _by_grpc(port: Port, paths: Sequence[str], token: str | None) -> dict[str, str]:
    """How each method ends that is sent one empty message; OK when it answers."""
    import grpc

    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    said = {}
    async with grpc.aio.insecure_channel(port.reached_at) as channel:
        for method in paths:
            answers = channel.stream_stream(method)(iter([b""]), metadata=metadata, timeout=SECONDS)
            try:
                async for _ in answers:
                    break
                said[method] = "OK"
                answers.cancel()
            except grpc.aio.AioRpcError as error:
                said[method] = error.code().name
    return said
