from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

from bridge.cli.interrupts import STOPPED_AT_ONCE

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals between processes are POSIX's")

SCRIPT = textwrap.dedent("""
    import asyncio, sys, time
    from bridge.cli.interrupts import run

    async def work():
        print("begun", flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.to_thread(time.sleep, float(sys.argv[1]))
            print("in order", flush=True)

    try:
        run(work())
    except KeyboardInterrupt:
        sys.exit(1)
""")


@pytest.mark.parametrize(
    ("cleaning", "presses", "status", "last"),
    [("0.1", 1, 1, "in order\n"), ("60", 2, STOPPED_AT_ONCE, "")],
    ids=["once", "twice"],
)
def test_ctrl_c_stops_in_order_and_the_second_at_once(
    cleaning: str, presses: int, status: int, last: str
) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", SCRIPT, cleaning], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    assert "Ctrl-C again" in process.stderr.readline()
    if presses > 1:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (status, last, "")
