"""A worker: what runs on a node, one for each GPU or CPU slot. The desktop's engine behind async methods.

Owns the node's copies of checkpoints. Writes no outputs: a call that is repeated repeats nothing. Ray
makes an actor of it (`ray_driver.py`), but it knows no Ray itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from numpy import uint8
from numpy.typing import NDArray

from bridge import __version__
from bridge.engine.device import choose
from bridge.engine.engine import Engine
from bridge.engine.selection import Selection, engines_for
from bridge.engine.workers import Crop, Equipment, Published, Pulse, Refusal
from bridge.errors import BridgeError, CheckpointHashMismatch, CheckpointNotInstalled
from bridge.network.digest import file_sha256
from bridge.network.form import TensorForm
from bridge.network.opened import Network, open_network

T = TypeVar("T")


class Depot:
    """The node's checkpoints: kept by hash, believed only when the bytes have it.

    Args:
        folder: made when needed; shared by the node's workers.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Published] = {}

    def has(self, published: Published) -> bool:
        """Whether the file is here, whole and true; then it can be opened by its name."""
        path = self._path(published)
        if not path.is_file() or file_sha256(path) != published.sha256:
            return False
        self._known[published.name] = published
        return True

    def keep(self, published: Published, content: NDArray[uint8]) -> None:
        """Take a checkpoint in.

        Raises:
            CheckpointHashMismatch: these are not its bytes; nothing was kept.
        """
        if hashlib.sha256(content.data).hexdigest() != published.sha256:
            raise CheckpointHashMismatch(f"{published.name} arrived damaged at {socket.gethostname()}.")
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = self._folder / f".{secrets.token_hex(8)}.part"
        try:
            with aside.open("wb") as file:
                file.write(content.data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path(published))
        finally:
            with suppress(FileNotFoundError):
                aside.unlink()
        self._known[published.name] = published

    def open(self, name: str, engine: str = "torch") -> Network:
        """Open a kept checkpoint, verified once more; see `open_network`.

        Raises:
            CheckpointNotInstalled: it was never brought here.
            CheckpointError: the file is not what it was.
        """
        published = self._published(name)
        return open_network(
            self._path(published),
            sha256=published.sha256,
            size=published.size,
            form=TensorForm(published.input, published.output),
            engine=engine,
            cache=self._folder / "engines",
        )

    def sha256(self, name: str) -> str:
        """Of a kept checkpoint."""
        return self._published(name).sha256

    def _published(self, name: str) -> Published:
        if name not in self._known:
            raise CheckpointNotInstalled(f"{name} was not brought to {socket.gethostname()}.")
        return self._known[name]

    def _path(self, published: Published) -> Path:
        return self._folder / f"{published.sha256}{published.path.suffix}"


class Worker:
    """One engine on one device of a node.

    Args:
        concurrency: calls that may be under way together.
    """

    def __init__(self, equipment: Equipment, concurrency: int) -> None:
        self._depot = Depot(equipment.folder)
        self._device = device = choose(equipment.device, equipment.threads)
        engines = engines_for(equipment.engine, equipment.device, device)
        self._selection = Selection(self._depot, device, engines, equipment.folder / "engines.json")
        self._engine = Engine(
            self._selection.open,
            device,
            reference=self._selection.reference,
            unload_after=equipment.unload_after,
        )
        # One more, so that a checkpoint can be brought while all calls compute.
        self._threads = ThreadPoolExecutor(concurrency + 1, thread_name_prefix="call")

    async def pulse(self) -> Pulse:
        """How it is; answered at once, whatever is under way."""
        resident = self._engine.resident()
        engines = {name: self._selection.chosen.get(name, "") for name in resident}
        return Pulse(__version__, socket.gethostname(), self._device.title, os.getpid(), engines)

    async def has(self, published: Published) -> bool:
        """Whether a checkpoint need not be sent."""
        return await self._in_thread(partial(self._depot.has, published))

    async def keep(self, published: Published, content: NDArray[uint8]) -> Refusal | None:
        """Take a checkpoint's bytes in; None when they are what they should be."""
        return await self._refusing(partial(self._depot.keep, published, content))

    async def warm_up(self, checkpoint: str) -> Refusal | None:
        """Load a network and show that it computes here what it should; None when it does."""
        return await self._refusing(partial(self._engine.warm_up, checkpoint))

    async def restore(self, checkpoint: str, crop: Crop, urgent: bool) -> Crop | Refusal:
        """One crop through a network. Cancelling this coroutine stops the work at its next pass."""
        cancelled = threading.Event()
        work = partial(self._engine.restore, checkpoint, crop, urgent=urgent, cancelled=cancelled)
        try:
            return await self._in_thread(work)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        except BridgeError as error:
            return Refusal(error.code, error.detail)

    async def _refusing(self, work: partial[None]) -> Refusal | None:
        try:
            await self._in_thread(work)
        except BridgeError as error:
            return Refusal(error.code, f"{error.title}: {error.detail}")
        return None

    async def _in_thread(self, work: partial[T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
