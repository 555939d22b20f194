from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.engine.trials import Record, Trial, TrialFile

RECORD = Record(
    {"device": "a processor"}, (Trial("torch", 0.5, 0.0), Trial("ncnn", problem="Not installed."))
)


def record(**seconds: float | None) -> Record:
    trials = (Trial(name, time, problem=None if time else "Wrong.") for name, time in seconds.items())
    return Record({}, tuple(trials))


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (record(torch=1.0, ncnn=0.5, onnx=0.7), "ncnn"),
        (record(torch=1.0, ncnn=0.95), "torch"),  # not worth another set of numbers
        (record(torch=1.0, ncnn=None), "torch"),
        (record(torch=None, ncnn=3.0, onnx=2.0), "onnx"),
        (record(torch=None, ncnn=None), None),
        (Record({}, (Trial("torch"), Trial("ncnn", problem="Not installed."))), "torch"),
    ],
)
def test_the_fastest_sound_engine_serves_but_torch_on_a_near_tie(found: Record, chosen: str | None) -> None:
    assert found.chosen == chosen


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = TrialFile(tmp_path / "new" / "engines.json")
    assert file.read("lite", "cpu") is None
    file.write("lite", "cpu", RECORD)
    file.write("lite", "cuda:0", record(torch=1.0))
    assert file.read("lite", "cpu") == RECORD
    assert file.read("other", "cpu") is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"\xff", b'{"lite on cpu": 3}', b'{"lite on cpu": {"trials": 1}}']
)
def test_a_file_that_makes_no_sense_is_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "engines.json"
    path.write_bytes(content)
    assert TrialFile(path).read("lite", "cpu") is None
    TrialFile(path).write("lite", "cpu", RECORD)
    assert json.loads(path.read_bytes())["lite on cpu"]["conditions"] == {"device": "a processor"}


def test_a_disk_that_refuses_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    TrialFile(tmp_path / "taken" / "engines.json").write("lite", "cpu", RECORD)
    TrialFile(None).write("lite", "cpu", RECORD)
    assert TrialFile(None).read("lite", "cpu") is None
