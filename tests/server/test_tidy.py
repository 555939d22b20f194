from __future__ import annotations

import os
import time

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
