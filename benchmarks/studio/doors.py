"""Every port that the cluster listens on, tried without its token, with a wrong and with the right one."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.studio.house import address
from benchmarks.studio.passes import NETWORK, crops, pool

METHODS = {
    "gcs_server": "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "raylet": "/ray.rpc.NodeManagerService/GetNodeStats",
    "worker": "/ray.rpc.CoreWorkerService/GetCoreWorkerStats",
}
OBJECTS = "/ray.rpc.ObjectManagerService/Pull"


async def doors(folder: Path, _items: int, _cut: float) -> dict[str, Any]:
    """A table of ports; whoever is not refused is counted."""
    async with pool(folder, 2) as there:
        await asyncio.to_thread(there.restore, NETWORK, crops(2))
        right = (folder / "ray.token").read_text()
        table = []
        for port, program in listening():
            if program == "RuntimeEnv":
                answers = await asyncio.gather(*(_by_http(port, token) for token in (None, "wrong", right)))
            else:
                answers = [_by_grpc(port, program, token) for token in (None, "wrong" * 8, right)]
            table.append(
                {
                    "port": port,
                    "program": program,
                    **dict(zip(("none", "wrong", "right"), answers, strict=True)),
                }
            )
    open_ = [row for row in table if not (_refused(str(row["none"])) and _refused(str(row["wrong"])))]
    deaf = [row for row in table if _refused(str(row["right"]))]
    return {"must_be_zero": {"open": len(open_), "not_tried_right": len(deaf)}, "ports": table}


def listening() -> list[tuple[int, str]]:
    """Ports of the cluster's programs that other machines could reach."""
    # Linux, where a cluster runs, has it on its path.
    told = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    found = []
    for line in told.splitlines():
        fields = line.split()
        host, _, port = fields[3].rpartition(":")
        who = re.search(r'users:\(\("([^"]+)",pid=(\d+)', line)
        if who is None or host in ("127.0.0.1", "[::1]"):
            continue
        name, pid = who[1], who[2]
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        if name in ("gcs_server", "raylet"):
            found.append((int(port), name))
        elif name.startswith("ray::Runtime"):
            found.append((int(port), "RuntimeEnv"))
        elif name.startswith("ray::") or "ray_driver" in command or "ray." in command or "/ray/" in command:
            found.append((int(port), "worker"))
    return sorted(found)


async def _by_http(port: int, token: str | None) -> str:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    url = f"http://{address()}:{port}/get_runtime_envs_info"
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, data=b"") as answer:
        return str(answer.status)


def _by_grpc(port: int, program: str, token: str | None) -> str:
    import grpc

    metadata = [] if token is None else [("authorization", f"Bearer {token}")]
    methods = [METHODS[program], *([OBJECTS] if program == "raylet" else [])]
    answer = ""
    with grpc.insecure_channel(f"{address()}:{port}") as channel:
        for method in methods:
            call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=bytes)
            try:
                call(b"", metadata=metadata, timeout=5)
                return "OK"
            except grpc.RpcError as error:
                answer = error.code().name
            if answer != "UNIMPLEMENTED":  # a raylet has two ports, one for each service
                return answer
    return answer


def _refused(answer: str) -> bool:
    return answer in ("401", "403", "UNAUTHENTICATED", "PERMISSION_DENIED")
