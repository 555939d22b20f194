"""Ctrl-C: once stops in order, twice at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

from bridge.cli.report import notices

STOPPED_AT_ONCE = 130
"""Exit status after the second Ctrl-C: 128 and the number of SIGINT, as shells have it."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end, as `asyncio.run` does, unless Ctrl-C stops it.

    Stopping in order waits for the pass of the network that is on its way, seconds on a CPU. Python's own
    answer to a second Ctrl-C tears libraries down while their threads still compute, which ends in an abort;
    ours ends the process where it stands, which the store and the results outlive like a kill.

    Raises:
        KeyboardInterrupt: it was stopped in order.
    """
    presses = 0

    async def stoppable() -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one; this tells mypy

        def pressed(*_: object) -> None:
            nonlocal presses
            presses += 1
            if presses > 1:
                notices.show_cursor()  # which a progress bar may have hidden
                os._exit(STOPPED_AT_ONCE)
            notices.print("Stopping in order. Ctrl-C again stops at once.", style="dim")
            loop.call_soon_threadsafe(task.cancel)

        signal.signal(signal.SIGINT, pressed)
        await work

    before = signal.getsignal(signal.SIGINT)
    try:
        asyncio.run(stoppable())
    except asyncio.CancelledError:
        if not presses:
            raise
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)
