"""Cancel and sudden death, at every step: nothing half done, nothing twice, nothing left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.plugins.lightroom.conftest import RunningBridge, Start
from tests.plugins.lightroom.host import Host, run_for_real
from tests.plugins.lightroom.person import Dialog, nobody
from tests.plugins.lightroom.wire import Fault
from tests.plugins.lightroom.world import ROOT, World

STEPS = {
    "LrExportSession": (1, 2),
    "LrExportRendition.waitForRender": (1, 2),
    "LrHttp.post": (1, 2, 3, 4),
    "LrHttp.get": (1, 3, 4, 6),
    "LrFileUtils.move": (1, 2, 3, 4, 5),
    "LrFileUtils.createAllDirectories": (1, 4),
    "io.open": (1, 2, 3, 4, 5, 6, 8, 10, 12),
    "LrFileUtils.delete": (1, 2, 4, 6, 9),
    "LrCatalog.withWriteAccessDo": (1, 2, 3, 4),
    "LrCatalog.addPhoto": (1, 2),
    "LrPhoto.addKeyword": (1, 2),
    "LrPhoto.setPropertyForPlugin": (1, 8, 9),
    "LrCatalog.createCollection": (1, 2),
    "LrCollection.addPhotos": (1, 2),
}
"""Everything by which a run of two photos leaves a trace, and which of its calls to interrupt."""

EVERY_STEP = [(label, number) for label, numbers in STEPS.items() for number in numbers]


def named(step: tuple[str, int]) -> str:
    return f"{step[0]}-{step[1]}"


def whole(world: World) -> None:
    """Every result in the catalogue is described, and every result on disk is in the catalogue."""
    for result in world.results():
        assert result.properties.get("sourceUuid"), "added, but never described"
        assert result.keywords
    on_disk = {str(path) for path in (world.root / "photos").iterdir() if "GPEN" in path.name}
    assert on_disk == {result.path for result in world.results()}


def test_the_steps_are_those_of_a_run(world: World, host: Host, bridge: RunningBridge) -> None:
    """Where a step is missing here, it is interrupted nowhere."""
    world.add("a.nef")
    world.add("b.nef")
    host.answers = [("2 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    for label, numbers in STEPS.items():
        assert max(numbers) <= host.calls[label], label
    changing = {
        "LrCatalog.createKeyword",
        "LrPhoto.setRawMetadata",
        "LrFileUtils.copy",
    }
    assert not {label for label in changing if host.calls[label]} - {"LrCatalog.createKeyword"}


@pytest.mark.parametrize("step", EVERY_STEP, ids=named)
def test_killed_at_every_step_it_goes_on_where_it_was(
    world: World, bridge: RunningBridge, step: tuple[str, int]
) -> None:
    photos = [world.add("a.nef"), world.add("b.nef")]
    host = Host(world, speed=60)
    host.kill_at = step
    host.answers = [("2 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    assert host.kernel[b"dead"], "never came to this step"
    assert not host.failures, "\n".join(host.failures)
    assert not host.world.disk.open_handles

    later = Host(world, speed=60)
    later.answers = [("not finished", "ok"), ("2 photos enhanced|One photo|0 photos", "cancel")]
    later.script("Init")
    later.run()
    assert not later.failures, "\n".join(later.failures)
    whole(world)
    began = len(later.confirmations) + len(later.messages) > 0 or len(world.results()) == 2
    if began:  # else it died before the journal was begun, and the user starts again
        assert {result.properties["sourceUuid"] for result in world.results()} == {one.uuid for one in photos}
        assert len(world.results()) == 2
    assert world.leftovers() == []
    enhanced = bridge.fakes.engine.entered._value  # one face a photo
    assert enhanced == (2 if began else 0)
    assert Path(photos[0].path).read_bytes() == b"raw bytes of a.nef"


# --- the bridge dies ---------------------------------------------------------


@pytest.fixture
def begin_bridge(world: World) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a bridge as a process of its own, which can be killed."""
    with contextlib.ExitStack() as stack:

        def begin() -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.server.standalone", "0", "0.05"],
                cwd=ROOT,
                env={**os.environ, "GPEN_HOME": str(world.bridge_home)},
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline()
            return process

        yield begin


@pytest.mark.parametrize("request_", ["POST /v1/jobs$", "POST .*/items$", "GET .*/items/1$", "POST .*/ack$"])
def test_the_bridge_is_killed_at_every_step(
    world: World, begin_bridge: Callable[[], subprocess.Popen[str]], request_: str
) -> None:
    process = begin_bridge()
    host = Host(world)
    for name in ("a.nef", "b.nef", "c.nef"):
        world.add(name)
    killed = False

    def kill(running: Host) -> bool:
        nonlocal killed
        if not killed and running.wire.counts(request_):
            killed = True
            process.kill()
            process.wait()
            begin_bridge()
        return False

    host.cancel_when = kill
    host.answers = [("3 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    assert killed
    assert not host.failures, "\n".join(host.failures)
    whole(world)
    assert len(world.results()) == 3
    assert host.renders.total() == 3
    assert world.leftovers() == []


# --- cancel -------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [*EVERY_STEP, ("LrTasks.sleep", 5), ("LrProgressScope.isCanceled", 1)], ids=named
)
def test_cancelled_at_every_step_nothing_is_half_done(
    world: World, bridge: RunningBridge, step: tuple[str, int]
) -> None:
    for name in ("a.nef", "b.nef", "c.nef"):
        world.add(name)
    host = Host(world, speed=60)
    host.cancel_at = step
    host.answers = [("3 photos enhanced", "cancel")] * 2  # where the last step was finished already
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    said = [message.text for message in host.confirmations + host.messages]
    if not said:
        assert host.calls["LrExportSession"] == 0  # nothing was begun
        return
    assert (
        said[0] == f"Cancelled: {len(world.results())} of 3 photos were finished."
        or len(world.results()) == 3
    )
    whole(world)
    assert world.leftovers() == []
    host.quit()

    later = Host(world)  # and nothing is offered afterwards
    later.script("Init")
    later.run()
    assert not later.failures, "\n".join(later.failures)


@pytest.mark.parametrize(
    "hindrance", ["render", "POST /v1/jobs$", "GET .*/items\\?", "GET .*/items/", "GET /v1/health"]
)
def test_cancel_takes_less_than_a_second_whatever_hangs(
    world: World, bridge: RunningBridge, hindrance: str
) -> None:
    host = Host(world, stepped=True)
    world.add("a.nef")
    if hindrance == "render":
        host.default_plan = (2.0, "ok")
    else:
        host.wire.faults = [Fault(hindrance, "hangs", after=1 if "health" in hindrance else 0)]
    begun = host.now()
    host.cancel_when = lambda running: running.now() - begun > 0.8
    host.script("EnhanceAgain")
    host.run(until=lambda: bool(host.messages))
    assert host.messages[0].text == "Cancelled: 0 of 1 photos were finished."
    assert host.canceled_at is not None
    assert host.messages[0].at - host.canceled_at < 1.0


@pytest.mark.parametrize(
    ("request_", "given"), [("POST /v1/jobs$", 1), ("POST .*/items$", 2), (r"GET .*/items\?", 1)]
)
def test_what_is_handed_over_while_it_is_cancelled_is_cancelled_too(
    world: World, bridge: RunningBridge, request_: str, given: int
) -> None:
    world.prefs["connection"] = {"remoteUrl": bridge.url}
    world.passwords["bridge-token", "gpen-enhance"] = bridge.announcement.token
    host = Host(world)
    for name in ("a.nef", "b.nef"):
        world.add(name)
    bridge.fakes.engine.gate.clear()
    host.cancel_when = lambda running: running.wire.counts(request_) > 0
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    assert bridge.states() == ["cancelled"] * given
    assert world.leftovers() == []


def test_what_is_handed_over_without_an_answer_is_cancelled_too(world: World, bridge: RunningBridge) -> None:
    world.prefs["connection"] = {"remoteUrl": bridge.url}
    world.passwords["bridge-token", "gpen-enhance"] = bridge.announcement.token
    world.add("a.nef")
    host = Host(world)
    host.wire.faults = [Fault("POST /v1/jobs$", "lost", times=1)]
    bridge.fakes.engine.gate.clear()
    host.cancel_when = lambda running: running.wire.counts("POST /v1/jobs$") > 0
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    assert bridge.states() == ["cancelled"]
    assert world.leftovers() == []


def test_a_cancelled_photo_that_the_bridge_has_done_is_not_kept_there(
    world: World, bridge: RunningBridge
) -> None:
    host = Host(world)
    world.add("a.nef")
    host.cancel_when = lambda _: bridge.states() == ["done"]
    host.menu("EnhanceAgain")
    assert [message.text for message in host.messages] == ["Cancelled: 0 of 1 photos were finished."]
    assert bridge.states() == ["acknowledged"]
    assert world.leftovers() == []


def test_what_was_finished_is_said_honestly(world: World, host: Host, bridge: RunningBridge) -> None:
    for number in range(8):
        world.add(f"{number}.nef")
    host.cancel_when = lambda _: len(world.results()) >= 3
    host.menu("EnhanceAgain")
    said = int(host.messages[0].text.split()[1])
    assert 3 <= said < 8
    assert said == len(world.results())
    whole(world)
    assert world.leftovers() == []


def test_an_interrupted_run_may_be_given_up(world: World, bridge: RunningBridge) -> None:
    world.add("a.nef")
    host = Host(world)
    host.kill_at = ("LrCatalog.addPhoto", 1)
    host.menu("EnhanceAgain")
    later = Host(world)
    later.answers = [("not finished", "other")]
    later.script("Init")
    later.run()
    assert world.results() == []
    assert not (world.root / "photos" / "a-GPEN.tif").exists()
    assert bridge.states() == ["acknowledged"]
    assert world.leftovers() == []


def test_later_keeps_it(world: World, bridge: RunningBridge) -> None:
    world.add("a.nef")
    host = Host(world)
    host.kill_at = ("LrCatalog.addPhoto", 1)
    host.menu("EnhanceAgain")
    for answer in ("cancel", "ok"):
        later = Host(world)
        later.answers = [("1 photos of an interrupted", answer)]
        later.menu("ResumeMenuItem")
        assert not later.failures, "\n".join(later.failures)
    assert len(world.results()) == 1


# --- twice at once ------------------------------------------------------------


def interrupted(world: World) -> None:
    world.add("a.nef")
    host = Host(world)
    host.kill_at = ("LrCatalog.addPhoto", 1)
    host.menu("EnhanceAgain")


def test_a_second_click_starts_no_second_run(world: World, start_bridge: Start) -> None:
    """While the bridge is still started by the first."""
    world.prefs["connection"] = {"startCommand": "true"}
    host = Host(world)
    world.add("a.nef")
    host.execute = lambda line: start_bridge() and run_for_real(line)
    host.script("EnhanceAgain")
    host.run(until=lambda: host.calls["LrTasks.execute"] == 1)
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    assert [message.text for message in host.messages] == [
        "These photos are being enhanced already.",
        "One photo enhanced.",
    ]
    assert (host.renders.total(), len(world.results())) == (1, 1)
    host.people = [nobody]
    host.menu("EnhanceAgain")
    assert host.people == []  # afterwards it is only asked what to do with what is done


def test_of_two_selections_each_photo_is_enhanced_once(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    a, b, c = (world.add(name) for name in ("a.nef", "b.nef", "c.nef"))
    seen: list[str] = []

    def person(dialog: Dialog) -> Generator[float, None, str]:
        seen.extend(dialog.texts())
        yield 0.1
        return "ok"

    host.people = [person]
    host.answers = [("2 photos enhanced|One photo enhanced. 1 were left out", "cancel")] * 2
    world.catalog.selected = [a.uuid, b.uuid]
    host.script("EnhanceAgain")
    host.run(until=lambda: bool(host.calls["LrCatalog.batchGetRawMetadata"]))
    world.catalog.selected = [b.uuid, c.uuid]
    host.menu("EnhanceAgain")
    assert "1 are being enhanced already and are left out." in seen
    assert any("b.nef: Is being enhanced already" in one.info for one in host.confirmations)
    assert sorted(one.properties["sourceUuid"] for one in world.results()) == [a.uuid, b.uuid, c.uuid]


def test_a_second_click_finishes_no_run_twice(world: World, bridge: RunningBridge) -> None:
    interrupted(world)
    later = Host(world)
    later.answers = [("1 photos of an interrupted", "ok")]
    later.script("ResumeMenuItem")
    later.menu("ResumeMenuItem")
    assert not later.failures, "\n".join(later.failures)
    assert "A GPEN run is under way; no other was interrupted." in [one.text for one in later.messages]
    assert len(world.results()) == 1
    assert world.leftovers() == []


def test_finish_shows_that_it_waits_for_the_bridge_and_may_be_cancelled(
    world: World, start_bridge: Start
) -> None:
    bridge = start_bridge()
    interrupted(world)
    bridge.stop()
    world.prefs["connection"] = {"startCommand": "true"}
    later = Host(world, stepped=True)
    later.execute = lambda _: 0  # and nothing comes
    later.answers = [("1 photos of an interrupted", "ok")]
    begun = later.now()
    later.cancel_when = lambda running: running.now() - begun > 3
    later.menu("ResumeMenuItem")
    assert later.captions == ["Looking for the bridge"]
    assert later.now() - begun < 10
    assert (later.failures, later.messages) == ([], [])

    start_bridge()
    last = Host(world)
    last.answers = [("1 photos of an interrupted", "ok")]  # it is as it was
    last.menu("ResumeMenuItem")
    assert not last.failures, "\n".join(last.failures)
    assert len(world.results()) == 1


def test_another_catalogs_runs_are_left_alone(world: World, bridge: RunningBridge) -> None:
    world.add("a.nef")
    host = Host(world)
    host.kill_at = ("LrCatalog.addPhoto", 1)
    host.menu("EnhanceAgain")
    here, world.catalog.path = world.catalog.path, "/elsewhere/Other.lrcat"
    other = Host(world)
    other.menu("ResumeMenuItem")
    assert [message.text for message in other.messages] == ["No GPEN run was interrupted."]
    world.catalog.path = here
    later = Host(world)
    later.answers = [("not finished", "ok")]
    later.menu("ResumeMenuItem")
    assert len(world.results()) == 1
