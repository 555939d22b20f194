from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge import __version__
from bridge.presets import Parameters
from bridge.server.presets import PresetStore
from tests.cli.conftest import Type

HEAVY = ("torch", "cv2", "aiohttp", "numpy", "pydantic")


def test_help_waits_for_nothing_heavy() -> None:
    code = f"import sys, bridge.cli; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own interpreter
    assert done.stdout.strip() == "[]"


def test_version_and_help(type_: Type) -> None:
    assert type_("--version").out.strip() == __version__
    for verb in ("serve", "enhance", "faces", "presets", "doctor"):
        said = type_(verb, "--help")
        assert said.status == 0
        assert "--json" in said.out
    assert type_("no-such-verb").status == 2


def test_faces(type_: Type, photos: Path) -> None:
    (face,) = type_("faces", photos / "anna.png", "--json").json["faces"]
    assert face["size"] == pytest.approx(90, abs=10)
    assert "90" in type_("faces", photos / "anna.png").out
    assert "No face was found" in type_("faces", photos / "sky.JPEG").out
    said = type_("faces", photos / "notes.txt", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "format_unsupported")
    assert type_("faces", photos / "missing.png").status == 2


def test_presets(type_: Type, home: Path) -> None:
    home.mkdir()
    PresetStore(home / "presets").put("Wedding", Parameters(strength=33))
    listed = type_("presets", "--json").json["presets"]
    assert [preset["name"] for preset in listed] == ["default", "dslr", "phone", "old-photo", "Wedding"]
    assert "Wedding" in type_("presets").out


def test_weights_from_import_to_verify(type_: Type, tiny: Path, home: Path) -> None:
    refused = type_("weights", "import", tiny, "--json")
    assert (refused.status, refused.json["error"]["code"]) == (1, "licence_not_accepted")
    assert (
        type_("weights", "import", tiny, "--accept-licence", "--name", "mine", "--json").json["name"]
        == "mine"
    )
    listed = {state["name"]: state for state in type_("weights", "list", "--json").json["checkpoints"]}
    assert listed["mine"]["installed"]
    assert not listed["gpen-bfr-512"]["installed"]
    assert "gpen-bfr-512" in type_("weights", "list").out
    (verified,) = type_("weights", "verify", "mine", "--json").json["verified"]
    assert verified["name"] == "mine"
    assert verified["sha256"] in type_("weights", "verify", "mine").out
    stored = next(home.rglob("mine*.safetensors"))
    stored.write_bytes(stored.read_bytes()[:-1])
    broken = type_("weights", "verify", "mine", "--json")
    assert (broken.status, broken.json["error"]["code"]) == (1, "checkpoint_truncated")


def test_weights_convert_installs_nothing_and_overwrites_nothing(
    type_: Type, tiny: Path, tmp_path: Path
) -> None:
    destination = tmp_path / "out.safetensors"
    assert type_("weights", "convert", tiny, destination).status == 0
    written = destination.read_bytes()
    said = type_("weights", "convert", tiny, destination, "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "output_failed")
    assert destination.read_bytes() == written
    assert not any(
        state["name"] == "tiny" for state in type_("weights", "list", "--json").json["checkpoints"]
    )


def test_weights_convert_writes_onnx_also_of_an_installed_one(
    type_: Type, tiny: Path, installed: None, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    said = type_("weights", "convert", "tiny", tmp_path / "by-name.onnx", "--json").json
    assert said["side"] == 16
    assert said["difference"] < 1e-4
    assert "differs from torch by" in type_("weights", "convert", tiny, tmp_path / "by-file.ONNX").out
    assert all((tmp_path / name).stat().st_size > 0 for name in ("by-name.onnx", "by-file.ONNX"))
    missing = type_("weights", "convert", "nothing", tmp_path / "other.onnx", "--json")
    assert (missing.status, missing.json["error"]["code"]) == (1, "checkpoint_unknown")


def test_weights_pull_asks_before_it_fetches(type_: Type) -> None:
    said = type_("weights", "pull", "gpen-bfr-512", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "licence_not_accepted")
    assert "--accept-licence" in said.json["error"]["hint"]
    assert type_("weights", "pull", "nothing", "--json").json["error"]["code"] == "checkpoint_unknown"


def test_what_people_copy_is_in_one_piece(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in the list, and the addresses of the advice for a computer without internet."""

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("urllib.request.OpenerDirector.open", offline)
    listed = {state["name"]: state for state in type_("weights", "list", "--json").json["checkpoints"]}
    shown = type_("weights", "list").out
    assert all(name in shown for name in listed)
    said = type_("weights", "pull", "gpen-bfr-512", "--accept-licence")
    assert said.status == 1
    for words in (
        "https://huggingface.co/akhaliq/GPEN-BFR-512/resolve/main/GPEN-BFR-512.pth",
        "gpen-bridge weights import GPEN-BFR-512.pth",
    ):
        assert words in said.err


def test_doctor_finds_what_is_there_and_what_is_missing(type_: Type, installed: None, home: Path) -> None:
    said = type_("doctor", "--json")
    findings = {finding["subject"]: finding for finding in said.json["findings"]}
    assert findings.keys() >= {
        "python", "torch", "device", "checkpoints", "detector", "disk", "ports", "bridge"
    }  # fmt: skip
    assert findings["detector"]["ok"]
    assert "tiny" in findings["checkpoints"]["detail"]
    left_over = {"version": "0", "exchange_dir": "x"}
    (home / "bridge.json").write_text(
        json.dumps({"url": "http://127.0.0.1:9", "token": "t", "protocol": 1, "pid": 1, **left_over})
    )
    next(home.rglob("tiny*.safetensors")).write_bytes(b"")
    said = type_("doctor", "--json")
    assert said.status == 1
    wrong = {finding["subject"]: finding["advice"] for finding in said.json["findings"] if not finding["ok"]}
    assert wrong.keys() >= {"checkpoints", "bridge"}
    assert all(wrong.values())


def test_doctor_tells_whether_a_clusters_ports_are_closed_to_it(
    type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as gone:
        ports = [server.getsockname()[1], gone.getsockname()[1]]
        gone.close()
        monkeypatch.setattr("bridge.engine.ray_node.Ports.numbers", ports)
        said = type_("doctor", "--cluster", "127.0.0.1", "--json")
        (finding,) = said.json["findings"]
        assert (said.status, finding["ok"]) == (1, False)
        assert finding["detail"] == f"127.0.0.1 takes connections from this machine at {ports[0]}."
    said = type_("doctor", "--cluster", "127.0.0.1", "--json")
    assert (said.status, said.json["findings"][0]["ok"]) == (0, True)
    said = type_("doctor", "--cluster", "nobody.invalid", "--json")
    assert (said.status, said.json["findings"][0]["ok"]) == (1, False)


def test_doctor_goes_on_with_the_rest_when_the_settings_are_broken(
    type_: Type, installed: None, home: Path
) -> None:
    def word() -> dict[str, Any]:
        return {finding["subject"]: finding for finding in type_("doctor", "--json").json["findings"]}

    assert "not there" in word()["settings"]["detail"]
    home.mkdir(exist_ok=True)
    (home / "settings.toml").write_text("prot = 17870")
    told = word()
    assert not told["settings"]["ok"]
    assert "`port`" in told["settings"]["advice"]
    assert told["detector"]["ok"]


def test_doctor_goes_on_with_the_rest_when_the_lock_cannot_be_used(
    type_: Type, installed: None, home: Path
) -> None:
    (home / "bridge.lock").mkdir(parents=True)
    found = {finding["subject"]: finding for finding in type_("doctor", "--json").json["findings"]}
    assert not found["bridge"]["ok"]
    assert "bridge.lock cannot be locked" in found["bridge"]["detail"]
    assert "sudo" in found["bridge"]["advice"]
    assert found["disk"]["ok"]
    assert found["detector"]["ok"]
    assert type_("jobs", "list", "--json").json["error"]["code"] == "output_failed"


def test_doctor_tells_also_what_nobody_thought_of(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> str:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("bridge.cli.doctor._detector", fails)
    found = {finding["subject"]: finding for finding in type_("doctor", "--json").json["findings"]}
    assert (found["detector"]["ok"], found["detector"]["detail"]) == (False, "RuntimeError: no such thing")
    assert found["ports"]["ok"]


def test_a_home_that_does_not_exist_is_named(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPEN_HOME", "~nosuchuser/x")
    for words in (("presets", "--json"), ("doctor", "--json")):
        told = type_(*words).json["error"]
        assert told["code"] == "config_invalid"
        assert "~nosuchuser/x" in told["detail"]
        assert not told["detail"].endswith("..")


def test_doctor_says_that_another_program_has_the_port(
    type_: Type, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("GPEN_PORT", str(port))
        found = type_("doctor", "--json").json["findings"]
    told = next(finding["detail"] for finding in found if finding["subject"] == "ports")
    assert f"{port} is another program's" in told


def test_bench_tries_every_engine_and_doctor_tells_what_it_found(
    type_: Type, installed: None, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ncnn")
    monkeypatch.setenv("GPEN_ENGINE", "auto")

    def doctors_word() -> str:
        findings = type_("doctor", "--json").json["findings"]
        return str(next(finding["detail"] for finding in findings if finding["subject"] == "engine"))

    assert "tiny: tried at its first use" in doctors_word()
    told = type_("bench", "tiny", "--json").json["checkpoints"]["tiny"]
    trials = {trial["engine"]: trial for trial in told["trials"]}
    assert trials.keys() == {"torch", "ncnn", "onnx"}
    assert all(trial["seconds"] > 0 and trial["difference"] < 1e-3 for trial in trials.values())
    assert told["chosen"] in trials
    word = doctors_word()
    assert f"tiny: {told['chosen']} " in word
    assert all(engine in word for engine in trials)
    assert (home / "engines.json").exists()
    shown = type_("bench", "tiny").out
    assert "serves" in shown


def test_bench_tells_where_the_time_of_a_photo_goes(type_: Type, installed: None, photos: Path) -> None:
    told = type_("bench", "tiny", "--photo", photos / "anna.png", "--json").json
    assert (told["photo"], told["faces"], told["checkpoints"]) == ("anna.png", 1, ["tiny"])
    assert list(told["seconds"]) == ["decode", "detect", "denoise", "restore", "blend", "sharpen", "encode"]
    assert all(seconds > 0 for seconds in told["seconds"].values())
    assert told["photos_an_hour"] == pytest.approx(3600 / sum(told["seconds"].values()), rel=0.01)
    shown = type_("bench", "tiny", "--photo", photos / "anna.png").out
    assert "anna.png: 0.1 megapixels, 1 face\n" in shown
    assert "such photos an hour" in shown
    assert "restore" in shown
    assert type_("bench", "--photo", photos / "missing.png").status == 2
    said = type_("bench", "tiny", "other", "--photo", photos / "anna.png", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "invalid_request")


def test_an_engine_that_is_not_there_is_named(
    type_: Type, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPEN_ENGINE", "ncnn-vulkan")
    monkeypatch.setitem(sys.modules, "ncnn", None)
    said = type_("bench", "tiny", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "extra_missing")


def test_broken_settings_are_named(type_: Type, home: Path) -> None:
    home.mkdir()
    (home / "settings.toml").write_text("port = 'many'")
    said = type_("serve", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "config_invalid")
    assert "port" in said.json["error"]["detail"]
    plain = type_("serve")
    assert "port" in plain.err
