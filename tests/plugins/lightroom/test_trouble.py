"""What goes wrong around a run: the other photos come back, nothing is lost, the user is told once."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import EncodingFailed
from tests.plugins.lightroom.conftest import RunningBridge, Start
from tests.plugins.lightroom.host import Host, run_for_real
from tests.plugins.lightroom.person import Dialog
from tests.plugins.lightroom.wire import Fault
from tests.plugins.lightroom.world import World


def three(world: World) -> None:
    for name in ("a.nef", "b.nef", "c.nef"):
        world.add(name)


def finished(world: World) -> set[str]:
    return {Path(result.path).name for result in world.results()}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("the disk of your dreams is full", "could not render the photo. the disk of your dreams is full"),
        ("skip", "skipped the photo"),
    ],
)
def test_a_render_that_fails_fails_alone(
    world: World, host: Host, bridge: RunningBridge, outcome: str, words: str
) -> None:
    three(world)
    host.plans["UUID-0002"] = (0.1, outcome)
    host.answers = [("2 photos enhanced. 1 failed", "cancel")]
    host.menu("EnhanceAgain")
    assert finished(world) == {"a-GPEN.tif", "c-GPEN.tif"}
    (summary,) = host.confirmations
    assert f"b.nef: Lightroom {words}" in summary.info
    assert world.leftovers() == []


def test_a_file_that_is_not_flushed_yet_is_waited_for(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    three(world)
    host.default_plan = (0.1, "late")
    host.answers = [("3 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    assert len(finished(world)) == 3
    assert host.renders.total() == 3


def test_what_the_bridge_refuses_is_told_in_our_words(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    three(world)
    bridge.fakes.engine.failure = EncodingFailed("The device said no.")
    host.answers = [("0 photos enhanced. 3 failed", "cancel")]
    host.menu("EnhanceAgain")
    assert (
        "a.nef: The result cannot be written in this format. The device said no."
        in host.confirmations[0].info
    )
    assert world.leftovers() == []


def test_a_file_cut_short_is_rendered_once_more(world: World, host: Host, bridge: RunningBridge) -> None:
    world.add("a.nef")
    problem = {"code": "image_truncated", "title": "x", "detail": "", "hint": "", "retryable": False}
    item = {"item": 0, "state": "failed", "error": problem}
    host.wire.faults = [Fault("GET .*/items/0$", (200, json.dumps(item).encode()), times=1)]
    host.menu("EnhanceAgain")
    assert finished(world) == {"a-GPEN.tif"}
    assert host.renders.total() == 2


def problem_body(code: str, *, retryable: bool) -> bytes:
    content = {"code": code, "title": code, "detail": "", "hint": "", "retryable": retryable, "status": 0}
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    "how",
    [
        "refused",
        "nothing",
        "lost",
        "hangs",
        (500, b"<html>oops</html>"),
        (503, problem_body("not_ready", retryable=True)),
        (429, problem_body("busy", retryable=True)),
    ],
    ids=["refused", "nil", "lost", "hangs", "html", "503", "429"],
)
@pytest.mark.parametrize("request_", ["POST /v1/jobs$", "POST .*/items$", "GET .*/items/", "POST .*/ack"])
def test_passing_trouble_of_the_wire_passes(
    world: World, bridge: RunningBridge, request_: str, how: Any
) -> None:
    host = Host(world, speed=100)
    three(world)
    host.wire.faults = [Fault(request_, how, times=2)]
    host.answers = [("enhanced", "cancel")]
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    if how == (500, b"<html>oops</html>"):  # nothing passing: somebody else answers there
        assert "Another program answers" in host.confirmations[0].info
        return
    assert finished(world) == {"a-GPEN.tif", "b-GPEN.tif", "c-GPEN.tif"}
    assert host.renders.total() == 3
    assert world.leftovers() == []


def test_the_bridge_comes_back_with_another_port_and_token(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    for number in range(6):
        world.add(f"{number}.nef")
    host.answers = [("6 photos enhanced", "cancel")]
    restarted = False

    def restart(running: Host) -> bool:
        nonlocal restarted
        if not restarted and len(world.results()) >= 2:
            restarted = True
            bridge.restart()
        return False

    host.cancel_when = restart
    host.menu("EnhanceAgain")
    assert restarted
    assert len(finished(world)) == 6
    assert len(world.results()) == 6
    assert world.leftovers() == []


def test_a_bridge_that_stays_away_leaves_finished_work_for_later(world: World, start_bridge: Start) -> None:
    bridge = start_bridge()
    host = Host(world, speed=200)
    three(world)
    host.wire.faults = [Fault("GET .*/items/", "refused")]
    host.answers = [("0 photos enhanced. 1 failed. 2 wait|3 wait|wait to be finished", "cancel")]
    host.menu("EnhanceAgain")
    assert "Finish Interrupted GPEN Runs" in host.confirmations[0].info
    host.quit()

    later = Host(world)
    later.answers = [("not finished", "ok"), ("photos enhanced", "cancel")]
    later.menu("ResumeMenuItem")
    assert not later.failures, "\n".join(later.failures)
    assert len(finished(world)) == 3
    assert later.renders.total() == 0  # nothing is rendered twice
    assert world.leftovers() == []
    bridge.stop()


@pytest.mark.parametrize("request_", ["POST /v1/jobs", ".*"])
def test_a_bridge_that_stays_away_ends_the_run_and_no_photo_fails(
    world: World, start_bridge: Start, request_: str
) -> None:
    start_bridge()
    host = Host(world, speed=200)
    for number in range(8):
        world.add(f"{number}.nef")
    begun = host.now()

    def go(running: Host) -> bool:
        if not running.wire.faults and running.renders.total():
            running.wire.faults = [Fault(request_, "refused")]
        return False

    host.cancel_when = go
    host.answers = [("stopped: The GPEN bridge does not answer. 0 photos enhanced. 8 wait", "cancel")]
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    (summary,) = host.confirmations
    assert summary.info == "Finish them later with Finish Interrupted GPEN Runs."
    assert summary.at - begun < 200  # one patience for all of them
    assert host.renders.total() == 3  # and nothing is rendered for nobody
    host.quit()

    gone, *_ = (world.bridge_home / "exchange").rglob("0.tif")
    gone.unlink()  # tidied away meanwhile
    later = Host(world)
    later.answers = [("8 photos of an interrupted", "ok"), ("8 photos enhanced", "cancel")]
    later.menu("ResumeMenuItem")
    assert not later.failures, "\n".join(later.failures)
    assert len(finished(world)) == 8
    assert later.renders.total() == 8 - 3 + 1
    assert world.leftovers() == []


def test_a_render_that_goes_on_while_the_bridge_is_given_up_is_kept(
    world: World, start_bridge: Start
) -> None:
    start_bridge()
    host = Host(world, speed=200)
    three(world)
    host.wire.faults = [Fault("POST /v1/jobs", "refused")]
    host.plans["UUID-0002"] = (300.0, "ok")
    host.answers = [("0 photos enhanced. 3 wait to be finished", "cancel")]
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    assert host.renders.total() == 2
    later = Host(world)
    later.answers = [("not finished", "ok"), ("3 photos enhanced", "cancel")]
    later.menu("ResumeMenuItem")
    assert not later.failures, "\n".join(later.failures)
    assert later.renders.total() == 1
    assert world.leftovers() == []


def test_a_busy_catalog_is_waited_for(world: World, host: Host, bridge: RunningBridge) -> None:
    world.add("a.nef")
    blocked_until = host.now() + 30
    host.gate_is_blocked = lambda: host.now() < blocked_until
    host.menu("EnhanceAgain")
    assert finished(world) == {"a-GPEN.tif"}
    assert world.leftovers() == []


def test_a_catalog_that_stays_busy_keeps_the_result_for_later(world: World, bridge: RunningBridge) -> None:
    host = Host(world, speed=200)
    world.add("a.nef")
    host.gate_is_blocked = lambda: True
    host.answers = [("0 photos enhanced. 1 wait", "cancel")]
    host.menu("EnhanceAgain")
    assert "The catalog was busy for too long." in host.confirmations[0].info
    assert finished(world) == set()
    assert (world.root / "photos" / "a-GPEN.tif").exists()

    later = Host(world)
    later.answers = [("1 photos of an interrupted GPEN run", "ok")]
    later.script("Init")
    later.run()
    assert not later.failures, "\n".join(later.failures)
    assert finished(world) == {"a-GPEN.tif"}
    assert world.leftovers() == []


def test_an_error_in_a_gate_undoes_it_whole(world: World, host: Host, bridge: RunningBridge) -> None:
    photo = world.add("a.nef")
    world.catalog.keywords["k"] = ("guest", None)
    photo.keywords.append("k")
    tries = 0
    add = world.catalog.add_keyword

    def fail_once(uuid: str, keyword: str) -> None:
        nonlocal tries
        tries += 1
        add(uuid, keyword)
        if tries == 2:
            raise RuntimeError("the database hiccupped")

    world.catalog.add_keyword = fail_once  # type: ignore[method-assign]
    host = Host(world)
    host.menu("EnhanceAgain")
    host.failures = [failure for failure in host.failures if "hiccupped" not in failure]
    assert host.failures == []
    (result,) = world.results()
    assert sorted(world.catalog.keywords[one][0] for one in result.keywords) == ["GPEN Enhanced", "guest"]
    assert result.properties["sourceUuid"] == photo.uuid


def test_a_full_disk_is_said_and_costs_no_finished_work(world: World, bridge: RunningBridge) -> None:
    host = Host(world, speed=100)
    three(world)

    def fill(_: Host) -> bool:
        world.disk.full = len(world.results()) >= 1
        return False

    host.cancel_when = fill
    host.answers = [("enhanced", "cancel")]
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    assert len(finished(world)) == 1
    assert "b.nef" in host.confirmations[0].info
    assert "c.nef" in host.confirmations[0].info
    assert not list((world.root / "photos").glob("*.part"))

    world.disk.full = False
    waiting = list((world.bridge_home / "lightroom").rglob("0*.json"))
    later = Host(world)
    later.answers = [("not finished", "ok"), ("enhanced", "cancel")] if waiting else []
    later.script("Init")
    later.run()
    assert not later.failures, "\n".join(later.failures)
    assert len(finished(world)) == 1 + len(waiting)
    assert world.leftovers() == []


# --- before the first render ------------------------------------------------


def decide(seen: list[list[str]], **choices: Any) -> Any:
    def person(dialog: Dialog) -> Generator[float, None, str]:
        seen.append(dialog.texts())
        yield 0.1
        for key, value in choices.items():
            dialog.set(key, value)
        return "ok"

    return person


def mixed(world: World) -> None:
    world.add("film.mov", video=True)
    world.add("gone.nef", offline=True)
    world.add("away.nef", offline=True, smart_preview=True)
    locked = world.add("locked.nef", folder="photos/locked")
    world.disk.read_only.add(world.root / "photos" / "locked")
    world.virtual_copy(world.add("good.nef"))
    (world.root / "photos" / "good-GPEN.tif").write_bytes(b"mine")
    assert locked


def test_one_report_before_the_start(world: World, host: Host, bridge: RunningBridge) -> None:
    mixed(world)
    world.disk.free[world.root / "photos"] = 10_000
    seen: list[list[str]] = []
    host.people = [decide(seen)]
    host.answers = [("3 photos enhanced. 3 were left out", "cancel")]
    host.menu("EnhanceAgain")
    (texts,) = seen
    for line in (
        "4 photos can be enhanced.",
        "1 videos are left out.",
        "1 originals are offline and are left out.",
        "1 originals are offline, but have a smart preview (2560 pixels).",
        "1 are virtual copies: each is enhanced with its own edits.",
        "2 results get a number, because their names are taken.",
        "1 lie in folders that cannot be written to.",
    ):
        assert line in texts
    assert any(text.startswith("Space is short") for text in texts)
    fallback = world.root / "home" / "Pictures" / "GPEN Enhanced" / "locked-GPEN.tif"
    assert {result.path for result in world.results()} == {
        str(world.root / "photos" / "good-GPEN-2.tif"),
        str(world.root / "photos" / "good-GPEN-3.tif"),
        str(fallback),
    }
    # Elsewhere the host cannot stack: linked by its fields, and said so.
    assert world.catalog.photos[world.results()[0].uuid].properties["sourceUuid"]
    assert "locked.nef: not stacked" in host.confirmations[0].info
    assert "film.mov: Videos cannot be enhanced" in host.confirmations[0].info
    assert host.renders["UUID-0002"] == host.renders["UUID-0003"] == 0
    assert world.leftovers() == []


def test_the_decision_is_the_users(world: World, host: Host, bridge: RunningBridge) -> None:
    mixed(world)
    host.people = [decide([], smartPreviews=True, useFallback=False)]
    host.answers = [("3 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    names = {Path(result.path).name for result in world.results()}
    assert names == {"away-GPEN.tif", "good-GPEN-2.tif", "good-GPEN-3.tif"}
    assert "locked.nef: The folder is read-only" in host.confirmations[0].info


def test_who_does_not_start_changes_nothing(world: World, host: Host, bridge: RunningBridge) -> None:
    mixed(world)

    def person(_: Dialog) -> Generator[float, None, str]:
        yield 0.1
        return "cancel"

    host.people = [person]
    host.menu("EnhanceAgain")
    assert host.renders.total() == 0
    assert world.catalog.gates == 0
    assert world.leftovers() == []


# --- the bridge -------------------------------------------------------------


def test_no_bridge_and_nothing_to_start(world: World, host: Host) -> None:
    world.add("a.nef")
    host.menu("EnhanceAgain")
    (message,) = host.messages
    assert "not installed" in message.text
    assert "gpen-bridge plugins install lightroom" in message.info
    assert host.renders.total() == 0  # found out before the first render


def test_the_bridge_is_started_when_it_is_not_running(world: World, start_bridge: Start) -> None:
    world.prefs["connection"] = {"startCommand": "touch '{}'".format(world.root / "started")}
    host = Host(world)
    world.add("a.nef")
    lines: list[str] = []

    def execute(line: str) -> int:
        lines.append(line)
        status = run_for_real(line)
        start_bridge()
        return status

    host.execute = execute
    host.menu("EnhanceAgain")
    assert (world.root / "started").exists()
    assert lines[0].endswith(">/dev/null 2>&1 &")
    assert finished(world) == {"a-GPEN.tif"}


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (
            {"service": "gpen-bridge", "protocol": 2, "version": "9", "status": "ok"},
            "speaks protocol 2, this plug-in 1",
        ),
        ({"service": "a web server"}, "Another program answers"),
    ],
)
def test_a_bridge_of_another_kind(
    world: World, host: Host, bridge: RunningBridge, health: Any, words: str
) -> None:
    world.add("a.nef")
    host.wire.faults = [Fault("GET /v1/health", (200, json.dumps(health).encode()))]
    host.menu("EnhanceAgain")
    (message,) = host.messages
    assert words in message.text + message.info
    assert host.renders.total() == 0


def test_the_announced_protocol_counts_too(world: World, host: Host, bridge: RunningBridge) -> None:
    world.add("a.nef")
    path = world.bridge_home / "bridge.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "protocol": 3}))
    host.menu("EnhanceAgain")
    assert "protocol 3" in host.messages[0].info
