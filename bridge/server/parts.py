"""What the server works with, opened in the background, and whether it is ready.

A Parts is opened in a thread while the bridge already answers health; pictures are
taken only after the self-test. Which parts there are is decided in `app.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from bridge.errors import BridgeError, NotReady
from bridge.pipeline import Tools
from bridge.server.log import Log

if TYPE_CHECKING:
    from bridge.checkpoints import Checkpoints
    from bridge.engine.pool import Pool


@dataclass(frozen=True)
class Parts:
    """The pipeline's tools and what else lives as long as the bridge.

    Attributes:
        device: its name, for people.
        engines: tells which engine runs each checkpoint that was opened so far.
        self_test: raises what is wrong; takes seconds.
        close: ends the engine's thread and frees the device.
        resident: names of the networks that are loaded now.
        problem: what keeps pictures from being taken just now, though everything is open and tested.
        pool: the studio's workers; None where this computer computes itself.
    """

    tools: Tools
    checkpoints: Checkpoints
    device: str
    engines: Callable[[], dict[str, str]]
    self_test: Callable[[], None]
    close: Callable[[], None]
    resident: Callable[[], list[str]] = list
    problem: Callable[[], BridgeError | None] = lambda: None
    pool: Pool | None = None


OpenParts = Callable[[], Parts]


class Readiness:
    """Opens the parts in the background, and tells how far that is.

    Args:
        on_ready: called once pictures can be taken.
    """

    def __init__(self, open_parts: OpenParts, log: Log, on_ready: Callable[[], None]) -> None:
        self._open_parts = open_parts
        self._on_ready = on_ready
        self._log = log
        self._parts: Parts | None = None
        self._failure: BridgeError | None = NotReady("The network is loaded and tested.")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._become_ready())

    async def settled(self) -> None:
        """Wait until the bridge is ready, or has failed to be."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def close(self) -> None:
        """Wait for the background work, then close the parts."""
        await self.settled()
        if self._parts is not None:
            await asyncio.to_thread(self._parts.close)

    @property
    def status(self) -> Literal["ok", "starting", "degraded"]:
        """As health tells it."""
        failure = self.failure
        if failure is None:
            return "ok"
        return "starting" if isinstance(failure, NotReady) else "degraded"

    @property
    def failure(self) -> BridgeError | None:
        """What keeps the bridge from taking pictures; None when it is ready."""
        if self._failure is None and self._parts is not None:
            return self._parts.problem()
        return self._failure

    @property
    def parts_if_open(self) -> Parts | None:
        """The parts as soon as they are open, tested or not."""
        return self._parts

    def parts(self) -> Parts:
        """The open parts, tested or not.

        Raises:
            BridgeError: they are not open yet, or could not be opened.
        """
        if self._parts is None:
            raise self._again()
        return self._parts

    def tools(self) -> Tools:
        """What pictures are worked on with.

        Raises:
            BridgeError: the bridge is not ready.
        """
        if self.failure is not None:
            raise self._again()
        return self.parts().tools

    def _again(self) -> BridgeError:
        # A new one each time: a raised exception keeps growing its traceback.
        failure = self.failure or NotReady()
        return type(failure)(failure.detail, hint=failure.hint)

    async def _become_ready(self) -> None:
        try:
            self._parts = await asyncio.to_thread(self._open_parts)
            await asyncio.to_thread(self._parts.self_test)
        except BridgeError as error:
            self._failure = error
            self._log.logger.error("not ready", code=error.code, detail=error.detail)
        except Exception as error:
            # Whatever it is, the bridge goes on answering, and says that it is degraded.
            self._failure = BridgeError("The bridge could not start its parts; the log says more.")
            self._log.logger.error("not ready", exc_info=error)
        else:
            self._failure = None
            self._log.logger.info("ready", device=self._parts.device)
            self._on_ready()


READINESS = web.AppKey("readiness", Readiness)
