from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from bridge.cli.enhance import batch_name
from bridge.imaging.codecs import decode
from tests.cli.conftest import Type

ROOT = Path(__file__).parents[2]
COPIES = 12


def results(folder: Path) -> set[str]:
    return {str(path) for path in folder.glob("*-GPEN*") if path.name != "older-GPEN.png"}


@pytest.fixture
def finished(type_: Type, installed: None, photos: Path) -> str:
    """A batch of two good pictures and a bad one, that `enhance` made; its id."""
    (photos / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    assert type_("enhance", photos, "--json").status == 1
    (job,) = type_("jobs", "list", "--json").json["jobs"]
    return str(job["job"])


def test_verbs_work_without_a_running_bridge(
    type_: Type, finished: str, photos: Path, tmp_path: Path
) -> None:
    told = type_("jobs", "show", finished, "--json").json
    assert [item["state"] for item in told["items"]] == ["done", "done", "failed"]
    assert told["counts"]["acked"] == 2
    assert "torn.jpg" in type_("jobs", "show", finished).out
    shown = type_("jobs", "list").out
    assert finished in shown
    assert all(word in shown for word in ("photos", f"{datetime.now():%m-%d}", "2 of 3", "finished"))
    assert type_("jobs", "watch", finished).status == 1
    out = tmp_path / "fetched"
    assert type_("jobs", "fetch", finished, "-o", out, "--item", "0").status == 0
    told = type_("jobs", "fetch", finished, "-o", out, "--json")
    assert (told.status, told.json["total"], told.json["success"]) == (0, 2, 2)
    assert {Path(one["output"]) for one in told.json["items"]} == set(out.iterdir())
    assert {path.name for path in out.iterdir()} == {path.name for path in photos.glob("*-GPEN.*")} - {
        "older-GPEN.png"
    }
    assert type_("jobs", "fetch", finished, "-o", out, "--item", "2", "--json").json["error"]["code"] == (
        "item_not_done"
    )
    retried = type_("jobs", "retry", finished, "--strength", "5", "--json").json
    assert (retried["state"], retried["counts"]["queued"]) == ("running", 1)
    assert type_("jobs", "pause", finished, "--json").json["state"] == "paused"
    assert type_("jobs", "resume", finished, "--json").json["state"] == "running"
    assert type_("jobs", "pause", finished, "--item", "2", "--json").json["paused"]
    assert type_("jobs", "show", finished, "--json").json["state"] == "paused"
    assert not type_("jobs", "resume", finished, "--item", "2", "--json").json["paused"]
    assert type_("jobs", "cancel", finished, "--item", "2", "--json").json["state"] == "cancelled"
    assert "queued" in type_("jobs", "retry", finished, "--item", "2", "--cancelled").out
    assert type_("jobs", "cancel", finished, "--item", "9").status == 1
    assert type_("jobs", "cancel", finished, "--json").json["state"] == "cancelled"
    assert type_("jobs", "export", "-o", tmp_path / "all.csv").status == 0
    lines = (tmp_path / "all.csv").read_text().splitlines()
    assert (len(lines), lines[0].split(",")[0]) == (3, "job")
    exported = type_("jobs", "export", "--json").json["items"]
    assert [(one["source"], one["job"], one["verdict"]) for one in exported] == [
        ("anna.png", finished, "none"),
        ("sky.JPEG", finished, "none"),
    ]
    assert "files" in type_("jobs", "tidy").out
    assert type_("jobs", "audit", "--json").json["lines"] >= 3
    said = type_("jobs", "show", "nobody", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "job_unknown")
    assert type_("jobs", "retry", finished, "--mode", "gentle").status == 2


@pytest.mark.parametrize("job", ["", ".", "..", "a/b", "a?b"])
@pytest.mark.parametrize("verb", ["show", "watch", "cancel", "retry"])
def test_what_is_no_id_is_wrong_use(type_: Type, home: Path, verb: str, job: str) -> None:
    said = type_("jobs", verb, job)
    assert (said.status, home.exists()) == (2, False)
    assert type_("jobs", "fetch", job, "-o", home).status == 2


def test_a_batch_is_called_after_what_was_named(tmp_path: Path) -> None:
    assert batch_name([tmp_path / "anna.png"]) == "anna.png"
    assert batch_name([tmp_path / "wedding", tmp_path / "b.png", tmp_path / "c.png"]) == "wedding and 2 more"
    assert len(batch_name([tmp_path / ("x" * 250), tmp_path])) == 200


def test_the_same_command_after_a_whole_run_begins_anew(type_: Type, installed: None, photos: Path) -> None:
    for result in ("anna-GPEN.png", "anna-GPEN-2.png"):
        said = type_("enhance", photos / "anna.png", "--json")
        assert Path(said.json["items"][0]["output"]).name == result


def test_enhance_goes_on_after_a_death(type_: Type, home: Path, installed: None, photos: Path) -> None:
    for number in range(6):
        shutil.copy(photos / "anna.png", photos / f"copy-{number}.png")
    words = [sys.executable, "-m", "bridge", "enhance", str(photos), "--json"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
    with process:
        deadline = time.monotonic() + 120
        while not results(photos) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
    said = type_("enhance", photos, "--json")
    assert said.status == 0, said
    assert said.json["success"] == 8
    outputs = {item["output"] for item in said.json["items"]}
    assert results(photos) == outputs
    assert len(type_("jobs", "list", "--json").json["jobs"]) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of this kind exist on POSIX only")
def test_ctrl_c_pauses_and_the_same_command_goes_on(
    type_: Type, home: Path, installed: None, photos: Path
) -> None:
    for number in range(COPIES):
        shutil.copy(photos / "anna.png", photos / f"copy-{number}.png")
    words = [sys.executable, "-m", "bridge", "enhance", str(photos), "--json"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)  # noqa: S603 - ourselves
    with process:
        deadline = time.monotonic() + 120
        while not results(photos) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    told = json.loads(out)
    if told["success"] == COPIES + 2:
        pytest.skip("this machine was faster than our Ctrl-C")
    assert (process.returncode, told["interrupted"]) == (1, True)
    left = type_("jobs", "list", "--json").json["jobs"]
    assert all(job["state"] in ("paused", "finished") for job in left)
    said = type_("enhance", photos, "--json")
    assert (said.status, said.json["success"]) == (0, COPIES + 2)
    assert results(photos) == {item["output"] for item in said.json["items"]}


def test_watch_takes_what_is_whole_once(type_: Type, installed: None, photos: Path) -> None:
    said = type_("watch", photos, "--once", "--json", "--denoise", "0", "--sharpen", "0")
    assert said.status == 0, said
    results = sorted(path.name for path in (photos / "GPEN").iterdir())
    assert results == ["anna-GPEN.png", "sky-GPEN.JPEG"]
    shutil.copy(photos / "anna.png", photos / "bea.png")
    (photos / "torn.png").write_bytes((photos / "anna.png").read_bytes()[:400])
    again = type_("watch", photos, "--once", "--denoise", "0", "--sharpen", "0")
    assert again.status == 1
    assert "torn.png" in again.out
    results = sorted(path.name for path in (photos / "GPEN").iterdir())
    assert results == ["anna-GPEN.png", "bea-GPEN.png", "sky-GPEN.JPEG"]
    assert decode((photos / "GPEN" / "bea-GPEN.png").read_bytes(), max_megapixels=1).width == 256
