"""`gpen-bridge studio`: one bridge for many workstations, with its workers on other machines."""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from bridge.cli.report import AsJson, people, print_json, reported

if TYPE_CHECKING:
    from bridge.client import Client
    from bridge.config import Places, Settings
    from bridge.engine.ray import Identity
    from bridge.engine.ray_node import Node as RayNode
    from bridge.engine.ray_node import Ports, Slots
    from bridge.protocol.service import WorkerList
    from bridge.server.serve import Started

app = typer.Typer(
    help="One bridge for a studio: workstations in front of it, GPUs behind it.", no_args_is_help=True
)
LOOK_SECONDS = 0.5
HEAD_STORE = 2 * 1024**3
WORKER_STORE = 512 * 1024**2

AtAddress = Annotated[
    str | None, typer.Option(help="This machine's address in the cluster's network.", metavar="IP")
]
FirstPort = Annotated[int, typer.Option(help="First of this node's three ports.", min=1024, max=65000)]
WorkerPorts = Annotated[int, typer.Option(help="First of fifty ports for workers.", min=1024, max=65000)]
StoreBytes = Annotated[int, typer.Option(help="Shared memory for crops and checkpoints.", min=80_000_000)]
Node = Annotated[str, typer.Argument(help="The machine's name, or the node's id.", show_default=False)]


@app.command("up")
def up(
    address: AtAddress = None,
    port: Annotated[int | None, typer.Option(help="The bridge's port on this machine.", min=0)] = None,
    head_port: Annotated[int, typer.Option(help="Where nodes find the head.", min=1024)] = 17870,
    first_port: FirstPort = 17871,
    worker_ports: WorkerPorts = 17900,
    store_bytes: StoreBytes = HEAD_STORE,
    as_json: AsJson = False,
) -> None:
    """Run the head of the cluster and the studio's bridge until Ctrl-C."""
    from bridge.config import Places, load
    from bridge.engine import ray_node
    from bridge.engine.ray import check_token, require
    from bridge.server.app import open_parts
    from bridge.server.lan import LOOPBACK
    from bridge.server.serve import serve as run

    with reported(as_json):
        require()
        places = Places.current()
        given = load(places)
        here = address or (given.host if given.host not in (*LOOPBACK, "0.0.0.0", "::") else "127.0.0.1")  # noqa: S104 - only compared
        settings = load(places, port=port, ray_address=f"{here}:{head_port}", ray_tls=True)
        ray_node.make_token(places.ray_token)
        check_token(places.ray_token)
        ports = ray_node.Ports(head_port, first_port, worker_ports)
        folder, log = ray_node.session_folder(), places.ray_token.with_name("head.log")
        command = ray_node.head_command(here, ports, folder, store_bytes)
        identify = partial(_identity, places, places.ray_token, here)
        head = ray_node.Node(command, places.ray_token, None, log, folder, identify)

        def on_started(started: Started) -> None:
            _tell_up(started, settings, ports, places.ray_token, as_json)

        # The lock first: a second `up` must not touch the first one's cluster.
        run(settings, places, open_parts, on_started, beside=head)


@app.command("join")
def join(
    head: Annotated[str, typer.Argument(help="Where the head listens, as HOST:PORT.", show_default=False)],
    token_file: Annotated[
        Path | None,
        typer.Option(help="Copy of the cluster's token; absent: studio/ray.token in the data folder."),
    ] = None,
    address: AtAddress = None,
    gpus: Annotated[int | None, typer.Option(help="Workers on GPUs; absent: one each.", min=0)] = None,
    cpus: Annotated[
        int | None, typer.Option(help="Workers on the processor; absent: one where there is no GPU.", min=0)
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of a worker; 0: its part.", min=0)] = 0,
    first_port: FirstPort = 17871,
    worker_ports: WorkerPorts = 17900,
    store_bytes: StoreBytes = WORKER_STORE,
    as_json: AsJson = False,
) -> None:
    """Give this machine's GPUs to a studio's bridge, until Ctrl-C."""
    from bridge.config import Places, load
    from bridge.engine import ray_node
    from bridge.engine.ray import check_token, require
    from bridge.engine.workers import Equipment

    with reported(as_json):
        require()
        places = Places.current()
        settings = load(places)
        token = token_file or places.ray_token
        check_token(token)
        head, here = ray_node.whereabouts(head, address)
        slots = _slots(gpus, cpus)
        ports = ray_node.Ports(first=first_port, workers=worker_ports)
        threads = (
            threads or settings.threads or max(1, (os.cpu_count() or 1) // max(1, slots.gpus + slots.cpus))
        )
        folder = places.data / "studio" / "node"
        equipment = Equipment(folder, settings.device, settings.engine, threads, settings.unload_seconds)
        identify = partial(_identity, places, token, here)
        command = ray_node.worker_command(head, here, ports, slots, store_bytes)
        node = ray_node.Node(command, token, equipment, folder / "node.log", identify=identify)
        if as_json:
            print_json(
                {"head": head, "gpus": slots.gpus, "cpus": slots.cpus, "ports": ports.listed(is_head=False)}
            )
        else:
            people.print(f"Joins [bold]{head}[/] with {slots.gpus} GPU and {slots.cpus} CPU workers.")
            _tell_ports(ports, is_head=False)
        node.start()
        try:
            _until_told_to_stop(node)
        finally:
            node.close()


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """The workers behind the bridge, and how they are."""
    with reported(as_json):
        from bridge.client import Client
        from bridge.config import Places

        async def ask() -> WorkerList:
            async with Client.from_announcement(Places.current()) as client:
                return await client.workers()

        _tell_workers(asyncio.run(ask()), as_json)


@app.command("drain")
def drain(
    node: Node,
    resume: Annotated[bool, typer.Option("--resume", help="Give it work again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a machine nothing new; what it works on is finished. Then it can be stopped."""
    with reported(as_json):
        from bridge.client import Client
        from bridge.config import Places

        async def ask() -> WorkerList:
            async with Client.from_announcement(Places.current()) as client:
                await client.drain(node, resume=resume)
                while not resume:
                    told = await client.workers()
                    if not any(one.at_work for one in told.workers if node in (one.node, one.host)):
                        return told
                    await asyncio.sleep(LOOK_SECONDS)
                return await client.workers()

        _tell_workers(asyncio.run(ask()), as_json)


@app.command("pair")
def pair(
    rights: Annotated[
        str, typer.Option(help="What the client may do: submit, review, admin, with commas.")
    ] = "submit,review",
    as_json: AsJson = False,
) -> None:
    """A code to pair one workstation with, valid for five minutes."""
    with reported(as_json):
        from bridge.client import Client
        from bridge.config import Places

        async def ask(client: Client) -> str:
            async with client:
                return (await client.pair_code(rights)).code

        code = asyncio.run(ask(Client.from_announcement(Places.current())))
        if as_json:
            print_json({"code": code, "rights": rights.split(",")})
        else:
            people.print(f"Code to pair a plug-in: [bold]{code}[/] ({rights}; valid for five minutes)")


@app.command("certificate")
def certificate(
    names: Annotated[
        list[str], typer.Argument(help="Names and addresses of the bridge.", show_default=False)
    ],
    folder: Annotated[Path | None, typer.Option(help="Where to write; absent: the data folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a certificate for the bridge, by an authority of the studio's own."""
    from bridge import certificates
    from bridge.config import Places

    with reported(as_json):
        made = certificates.make(folder or Places.current().data / "studio" / "tls", names)
        if as_json:
            print_json(
                {
                    "tls_certificate": str(made.server),
                    "tls_key": str(made.server_key),
                    "authority": str(made.authority),
                }
            )
            return
        people.print(f'tls_certificate = "{made.server}"', soft_wrap=True, markup=False)
        people.print(f'tls_key = "{made.server_key}"', soft_wrap=True, markup=False)
        people.print(f"names = {list(names)}".replace("'", '"'), soft_wrap=True, markup=False)
        people.print(
            f"Install {made.authority} as a trusted authority on each workstation; docs/studio.md shows how.",
            soft_wrap=True,
            markup=False,
        )


def _identity(places: Places, token: Path, here: str) -> Identity:
    from bridge import certificates

    return certificates.for_cluster(places.cluster, token.read_text(encoding="ascii").strip(), here)


def _slots(gpus: int | None, cpus: int | None) -> Slots:
    from bridge.engine.device import gpu_count
    from bridge.engine.ray_node import Slots

    gpus = gpu_count() if gpus is None else gpus
    return Slots(gpus, int(gpus == 0) if cpus is None else cpus)


def _until_told_to_stop(node: RayNode) -> None:
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not stopping and not node.wait(LOOK_SECONDS):
            pass
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _tell_up(started: Started, settings: Settings, ports: Ports, token: Path, as_json: bool) -> None:
    lan = f"{settings.host}:{settings.lan_port}" if settings.names else None
    if as_json:
        print_json(
            {
                "url": started.url,
                "console": started.console,
                "pairing_code": started.pairing_code,
                "pid": started.announcement.pid,
                "lan": lan,
                "cluster": settings.ray_address,
                "token_file": str(token),
                "ports": ports.listed(is_head=True),
            }
        )
        return
    people.print(
        f"GPEN Enhance listens at [bold]{started.url}[/]" + (f" and for the studio at {lan}" if lan else "")
    )
    people.print(f"Console: [bold]{started.console}[/] (signs in once, within five minutes)")
    people.print(f"On each GPU machine: copy {token} there, then", markup=False, soft_wrap=True)
    people.print(f"  gpen-bridge studio join {settings.ray_address} --token-file FILE", markup=False)
    _tell_ports(ports, is_head=True)


def _tell_ports(ports: Ports, *, is_head: bool) -> None:
    people.print("Close these ports to everything but the cluster's machines:", style="bold yellow")
    for port, what in ports.listed(is_head=is_head).items():
        people.print(f"  {port}  {what}")


def _tell_workers(told: WorkerList, as_json: bool) -> None:
    if as_json:
        print_json(told.model_dump(mode="json"))
        return
    table = Table("host", "worker", "device", "state", "at work", "checkpoints")
    for one in told.workers:
        state = "draining" if one.draining else "healthy" if one.healthy else one.problem
        facts = (one.host, one.worker, one.device, state, str(one.at_work), ", ".join(one.checkpoints))
        table.add_row(*(escape(fact) for fact in facts))
    people.print(table)
    people.print(f"{told.waiting} pictures have faces that no worker has yet.")
