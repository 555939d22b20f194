"""A worker whose network takes a fixed time, in place of the real one: nodes import it from here."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from bridge import __version__
from bridge.engine import ray_driver
from bridge.engine.workers import Pulse


class Sleeper:
    """What `ray_driver.Actor` is, with one device that only waits."""

    def __init__(self, _concurrency: int) -> None:
        self._seconds = float(os.environ["GPEN_SLEEP"])
        self._device = asyncio.Lock()

    async def pulse(self) -> Pulse:
        """As it is."""
        return Pulse(__version__, socket.gethostname(), "a sleeper", os.getpid())

    async def has(self, _published: Any) -> bool:
        """It needs no file."""
        return True

    async def warm_up(self, _checkpoint: str) -> None:
        """There is nothing to test."""
        return

    async def restore(self, _checkpoint: str, crop: Any, _urgent: bool) -> Any:
        """Wait, and give the crop back."""
        async with self._device:
            await asyncio.sleep(self._seconds)
        return crop


def main() -> None:
    """A driver that hires sleepers."""
    vars(ray_driver)["Actor"] = Sleeper
    ray_driver.main()
