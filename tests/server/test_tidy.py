from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from bridge.server.log import Log
from bridge.server.tidy import Housekeeper
from tests.server.conftest import Samples, Start
from tests.server.test_jobs import submit, until, upload


async def test_a_dry_run_tells_and_a_real_one_deletes(start: Start, samples: Samples) -> None:
    bridge = await start(max_output_bytes=0, keep_days=0)
    await bridge.ready()
    job = await submit(bridge, [{"upload": await upload(bridge, samples.png)}] * 2)
    await until(bridge, job)
    await bridge("POST", f"/v1/jobs/{job}/items/0/ack")
    told = (await bridge("POST", "/v1/tidy", json={})).json
    assert (told["dry_run"], len(told["files"]), told["files"][0]["reason"]) == (True, 1, "old_result")
    assert len(list(bridge.places.outputs.iterdir())) == 2
    old = time.time() - 3 * 86400
    (bridge.places.exchange / "left.tif").write_bytes(b"x")
    os.utime(bridge.places.exchange / "left.tif", (old, old))
    done = (await bridge("POST", "/v1/tidy", json={"dry_run": False})).json
    assert {file["reason"] for file in done["files"]} == {"old_result", "unnamed_exchange_file"}
    assert len(list(bridge.places.outputs.iterdir())) == 1
    assert (await bridge("GET", f"/v1/jobs/{job}/items/0/result")).code == "result_gone"
    assert (await bridge("GET", f"/v1/jobs/{job}/items/1/result")).status == 200


async def test_a_chore_that_fails_keeps_no_other_from_being_done(tmp_path: Path) -> None:
    def fail() -> None:
        raise TypeError("not thought of")

    done, log = asyncio.Event(), Log(tmp_path / "bridge.log", "info")
    loop = asyncio.get_running_loop()
    housekeeper = Housekeeper((fail, lambda: loop.call_soon_threadsafe(done.set)), log)
    housekeeper.start()
    await asyncio.wait_for(done.wait(), 5)
    await housekeeper.close()
    log.close()
    assert "not thought of" in (tmp_path / "bridge.log").read_text()
