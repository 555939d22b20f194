"""`gpen-bridge studio` as it is typed; what needs a real cluster is shown by benchmarks/studio."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bridge.cli import app, studio
from bridge.cli.studio import _slots
from bridge.config import Settings
from bridge.engine import ray_node
from bridge.engine.ray_node import (
    Node,
    Ports,
    Slots,
    head_command,
    make_token,
    whereabouts,
    worker_command,
)
from bridge.errors import ConfigInvalid
from bridge.protocol.service import Worker, WorkerList
from bridge.server.announcement import Announcement
from bridge.server.serve import Started
from tests.cli.conftest import Type
from tests.engine.fakes import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"


def commands() -> list[list[str]]:
    """What the units and the compose file run, as words behind `gpen-bridge`."""
    units = [
        shlex.split(line.partition("gpen-bridge ")[2])
        for unit in sorted(DEPLOY.glob("*.service"))
        for line in unit.read_text().splitlines()
        if line.startswith("ExecStart=")
    ]
    compose = (DEPLOY / "compose.yaml").read_text()
    inline = re.search(r"command: \[(.*)\]", compose)
    assert inline is not None
    listed = re.findall(r"^      - (.*)$", compose, re.MULTILINE)
    return [*units, [word.strip(' "') for word in inline[1].split(",")], [word.strip('"') for word in listed]]


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[:2]))
def test_what_is_deployed_can_be_typed(words: list[str]) -> None:
    group: Any = typer.main.get_command(app)
    studio_group = group.commands[words[0]]
    command = studio_group.commands[words[1]]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_without_ray_it_says_what_to_install(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.engine.ray.find_spec", lambda _: None)
    for words in (("up",), ("join", "head:17870")):
        said = type_("studio", *words)
        assert said.status == 1
        assert "gpen-enhance[studio]" in said.err


def test_nobody_joins_without_a_token(type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.engine.ray.find_spec", lambda _: object())
    said = type_("studio", "join", "head:17870", "--token-file", tmp_path / "none", "--json")
    assert (said.status, said.json["error"]["code"]) == (1, "config_invalid")


def test_a_bridge_is_needed_to_look_at_its_workers(type_: Type) -> None:
    for words in (("status",), ("drain", "x"), ("pair",)):
        said = type_("studio", *words, "--json")
        assert (said.status, said.json["error"]["code"]) == (1, "bridge_unreachable")


def test_a_certificate_and_the_settings_that_use_it(type_: Type, tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="the extra studio brings it")
    said = type_("studio", "certificate", "bridge.lan", "--folder", tmp_path / "tls")
    assert said.status == 0, said.err
    assert 'names = ["bridge.lan"]' in said.out
    assert type_("studio", "certificate", "a b", "--folder", tmp_path / "x").status == 1


def test_paths_and_problems_are_printed_as_they_are(
    type_: Type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cryptography", reason="the extra studio brings it")
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "[b]"
    said = type_("studio", "certificate", "bridge.lan", "--folder", folder / "tls")
    assert f"Install {folder}" in said.out
    there = Announcement(url="http://a", token="b", protocol=1, version="c", exchange_dir="d", pid=1)
    started = Started("http://a", "1", "http://a/#code=1", there)
    studio._tell_up(started, Settings(), Ports(), folder / "ray.token", as_json=False)
    worker = Worker(
        worker="w",
        node="n",
        host="h",
        device="cpu",
        healthy=False,
        problem="no [/dev/nvidia0]",
        draining=False,
        checkpoints=(),
        pid=1,
        at_work=0,
    )
    studio._tell_workers(WorkerList(workers=(worker,)), as_json=False)
    told = capsys.readouterr().out
    assert f"copy {folder / 'ray.token'} there" in told
    assert "no [/dev/nvidia0]" in told


def test_the_head_is_closed_and_computes_nothing() -> None:
    words = head_command("10.0.0.2", Ports(), Path("/r"), 10**8)
    assert "--include-dashboard=false" in words
    assert "--no-monitor" in words
    assert "sys.modules['grpc'] = None" in words[words.index("-c") + 1]
    assert words[words.index("--num-cpus") + 1] == "0"
    assert words[words.index("--resources") + 1] == "{}"


def test_a_node_offers_its_slots_and_keeps_to_its_ports() -> None:
    ports = Ports(first=18000, workers=18100)
    words = worker_command("10.0.0.2:17870", "10.0.0.3", ports, Slots(gpus=2, cpus=1), 10**8)
    assert words[words.index("--resources") + 1] == '{"gpen_gpu": 2, "gpen_cpu": 1}'
    assert words[words.index("--num-gpus") + 1] == "2"
    listed = ports.listed(is_head=False)
    for option, port in (("--node-manager-port", "18000"), ("--object-manager-port", "18001")):
        assert words[words.index(option) + 1] == port
        assert port in listed
    assert (
        f"{words[words.index('--min-worker-port') + 1]}-{words[words.index('--max-worker-port') + 1]}"
        in listed
    )
    assert "17870" in ports.listed(is_head=True)


def test_machines_are_named_by_number_as_their_certificates_are() -> None:
    assert whereabouts("localhost:17870", None) == ("127.0.0.1:17870", "127.0.0.1")
    assert whereabouts("127.0.0.1:1", "10.0.0.11") == ("127.0.0.1:1", "10.0.0.11")
    for wrong in ("nobody.invalid:17870", "127.0.0.1", "127.0.0.1:head"):
        with pytest.raises(ConfigInvalid):
            whereabouts(wrong, None)


def test_one_worker_for_each_gpu_else_one_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, slots in ((4, Slots(4, 0)), (0, Slots(0, 1))):
        monkeypatch.setattr("bridge.engine.device.gpu_count", lambda found=found: found)
        assert _slots(None, None) == slots
    assert _slots(1, 3) == Slots(1, 3)


def test_the_token_is_made_once_and_is_the_owners(tmp_path: Path) -> None:
    path = tmp_path / "studio" / "ray.token"
    make_token(path)
    first = path.read_text()
    make_token(path)
    assert path.read_text() == first
    assert len(first) == 64
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.skipif(os.name != "posix", reason="Ray's clusters run on Linux")
def test_a_node_is_started_again_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_node, "PAUSE", 0.01)
    token, seen = tmp_path / "token", tmp_path / "seen"
    token.write_text("x" * 64)
    # Its own number: other runs of this test are on the machine too.
    short, long = (f"{seconds}.{os.getpid()}" for seconds in (77, 88))
    script = (
        f"echo $RAY_AUTH_MODE >> {seen}; sleep {short} & "
        f"if [ $(wc -l < {seen}) -lt 3 ]; then exit 1; fi; sleep {long}"
    )
    note = tmp_path / "ray_current_cluster"
    note.write_text("10.0.0.2:17870")
    script = f"test -e {note} && exit 1; touch {note}; {script}"  # as Ray does
    node = Node(["sh", "-c", script], token, None, tmp_path / "node.log", tmp_path)
    node.start()
    wait_until(lambda: seen.exists() and len(seen.read_text().split()) >= 3)
    node.close()
    assert set(seen.read_text().split()) == {"token"}
    ours = {f"sleep\0{seconds}\0".encode() for seconds in (short, long)}
    wait_until(lambda: ours.isdisjoint(_running()))  # what was killed takes a moment to be gone


def _running() -> Iterator[bytes]:
    """The command line of every process, where the system tells."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield line.read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="Ray's clusters run on Linux")
def test_a_head_that_held_is_started_again_with_its_memory_and_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_node, "PAUSE", 0.01)
    token, seen, memory = tmp_path / "token", tmp_path / "seen", tmp_path / "memory"
    memory.mkdir()
    (memory / "of_an_earlier_bridge").touch()
    # Each start tells how much it remembers, leaves one thing more, and ends.
    script = f'mkdir -p {memory}; ls "$RAY_gcs_storage_path" | wc -l >> {seen}; touch {memory}/$$'

    def starts() -> list[str]:
        return seen.read_text().split() if seen.exists() else []

    node = Node(["sh", "-c", script], token, None, tmp_path / "node.log", tmp_path)
    monkeypatch.setattr(ray_node, "HELD", 1e9)
    node.start()
    wait_until(lambda: len(starts()) >= 3)
    assert set(starts()) == {"0"}  # none of them held: each is another cluster
    monkeypatch.setattr(ray_node, "HELD", 0.0)
    wait_until(lambda: starts()[-1] == "1")
    monkeypatch.setattr(ray_node, "PAUSE", 60.0)
    wait_until(lambda: starts()[-1] == "4")
    node.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Ray's clusters run on Linux")
def test_a_bridge_that_is_killed_leaves_no_head_behind(tmp_path: Path) -> None:
    code = """
import sys
from collections.abc import Iterator
from pathlib import Path
from bridge.engine.ray_node import Node
folder = Path(sys.argv[1])
node = Node(["sh", "-c", f"echo $$ > {folder}/pid; exec sleep 99"], folder / "token", None, folder / "log")
node.start()
node.wait(99)
"""
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])  # noqa: S603 - our own code
    written = tmp_path / "pid"
    wait_until(lambda: written.exists() and written.read_text().strip() != "")
    child = Path(f"/proc/{written.read_text().strip()}/cmdline")
    wait_until(lambda: b"sleep" in child.read_bytes())
    parent.kill()
    parent.wait()
    wait_until(lambda: not child.exists() or child.read_bytes() == b"")


def test_every_verb_explains_itself() -> None:
    group: Any = typer.main.get_command(studio.app)
    assert set(group.commands) == {"up", "join", "status", "drain", "pair", "certificate"}
    assert all(command.help for command in group.commands.values())
