from __future__ import annotations

import csv
import io

from tests.server.conftest import Bridge, Samples
from tests.server.test_jobs import item, submit, until, upload


async def test_verdicts_add_up(bridge: Bridge, samples: Samples) -> None:
    source = {"upload": await upload(bridge, samples.png, "=cmd().png")}
    job = await submit(bridge, [source] * 4, preset="phone")
    await until(bridge, job)
    at = f"/v1/jobs/{job}/items"
    accepted = await bridge("POST", f"{at}/0/review", json={"verdict": "accepted", "note": "=1+1"})
    assert accepted.json["item"]["review"]["verdict"] == "accepted"
    assert accepted.json["item"]["review"]["by"] == "owner"
    await bridge("POST", f"{at}/1/review", json={"verdict": "rejected"})
    redo = await bridge("POST", f"{at}/2/review", json={"verdict": "redo", "params": {"strength": 33}})
    assert redo.json["item"]["review"]["redone_as"] == redo.json["redo"]["item"] == 4
    again = await bridge("POST", f"{at}/2/review", json={"verdict": "redo", "params": {"strength": 33}})
    assert again.json["redo"]["item"] == 4  # said twice, done once
    told = await until(bridge, job, lambda told: told["state"] == "finished" and told["counts"]["done"] == 5)
    assert {name: told["counts"][name] for name in ("accepted", "rejected", "redo", "unreviewed")} == {
        "accepted": 1,
        "rejected": 1,
        "redo": 1,
        "unreviewed": 2,
    }
    redone = await item(bridge, job, 4)
    assert (redone["redo_of"], redone["parameters"]["strength"], redone["state"]) == (2, 33, "done")
    assert redone["result"]["name"] != (await item(bridge, job, 2))["result"]["name"]
    waiting = (await bridge("GET", f"{at}?state=done&review=none")).json["items"]
    assert [one["item"] for one in waiting] == [3, 4]
    (phone,) = (await bridge("GET", "/v1/reviews")).json["presets"]
    assert (phone["preset"], phone["done"], round(phone["rate"], 3)) == ("phone", 5, 0.333)
    exported = await bridge("GET", "/v1/reviews.csv")
    assert exported.headers["Content-Type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(exported.body.decode())))
    assert [line["verdict"] for line in lines] == ["accepted", "rejected", "redo", "none", "none"]
    assert lines[0]["note"] == "'=1+1"  # a spreadsheet must not compute it
    back = await bridge("POST", f"{at}/0/review", json={"verdict": "none"})
    assert "at" not in back.json["item"]["review"]


async def test_only_finished_photos_are_judged(bridge: Bridge) -> None:
    job = await submit(bridge, [{"upload": await upload(bridge, b"not a picture")}])
    await until(bridge, job)
    refused = await bridge("POST", f"/v1/jobs/{job}/items/0/review", json={"verdict": "accepted"})
    assert refused.code == "item_not_done"
    wrong = await bridge(
        "POST", f"/v1/jobs/{job}/items/0/review", json={"verdict": "accepted", "preset": "phone"}
    )
    assert wrong.code == "invalid_request"
    assert (await bridge("POST", f"/v1/jobs/{job}/items/0/ack")).code == "item_not_done"
