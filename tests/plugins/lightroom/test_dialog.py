"""The dialog with its preview, against the real bridge."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.lightroom.conftest import RunningBridge
from tests.plugins.lightroom.host import Host
from tests.plugins.lightroom.person import Dialog, Person
from tests.plugins.lightroom.world import World


def until_new(dialog: Dialog, which: int, old: str | None) -> Generator[float, None, None]:
    """Wait until a picture is shown that is not the old one."""
    for _ in range(600):
        if dialog.pictures()[which] not in (None, old):
            return
        yield 0.2
    raise AssertionError(dialog.texts())


@pytest.fixture
def portrait(world: World, host: Host) -> Host:
    world.add("a.nef")
    host.render_size = (640, 480)
    return host


def test_the_preview_follows_the_sliders_when_they_rest(
    world: World, portrait: Host, bridge: RunningBridge
) -> None:
    kinds: list[bytes] = []

    def person(dialog: Dialog) -> Generator[float, None, str]:
        yield from until_new(dialog, 1, None)
        kinds.extend(Path(path).read_bytes()[:2] for path in dialog.pictures())
        assert "The largest face of the first photo" in dialog.texts()
        before, after = dialog.pictures()
        asked = portrait.wire.counts("POST /v1/enhance")
        for strength in range(80, 95):
            dialog.set("strength", strength)  # on the move: nothing is asked
        yield from until_new(dialog, 1, after)
        assert portrait.wire.counts("POST /v1/enhance") == asked + 1
        assert dialog.pictures()[0] == before
        assert not Path(after).exists()  # hosts keep an overwritten picture in memory
        return "cancel"

    portrait.people = [person]
    portrait.menu("EnhanceMenuItem")
    assert kinds == [b"\xff\xd8", b"\xff\xd8"]
    assert world.results() == []
    assert world.leftovers() == []


def test_clear_takes_old_previews_and_leaves_the_one_in_use(
    world: World, portrait: Host, bridge: RunningBridge
) -> None:
    old = world.root / "temp" / "gpen-enhance" / "preview-1764000000"
    old.mkdir(parents=True)
    (old / "a.tif").write_bytes(b"left by a crash")

    def person(dialog: Dialog) -> Generator[float, None, str]:
        yield from until_new(dialog, 1, None)
        diagnosis = portrait.require("Diagnosis")
        assert diagnosis[b"cacheLine"]() == b"Temporary folders: 2"
        diagnosis[b"clearCache"]()
        assert diagnosis[b"cacheLine"]() == b"Temporary folders: 1"
        assert all(Path(path).exists() for path in dialog.pictures())
        return "cancel"

    portrait.people = [person]
    portrait.menu("EnhanceMenuItem")
    assert not old.exists()


def test_what_is_chosen_is_done_and_kept(world: World, portrait: Host, bridge: RunningBridge) -> None:
    def person(dialog: Dialog) -> Generator[float, None, str]:
        yield 0.1
        dialog.set("preset", "phone")
        assert [dialog.get(key) for key in ("strength", "denoise", "sharpen", "mode")] == [
            75,
            35,
            60,
            "detail",
        ]
        dialog.set("strength", 81)
        dialog.set("resultFormat", "jpeg")
        dialog.set("naming", "{date}-{stem}-{preset}")
        return "ok"

    portrait.people = [person]
    portrait.menu("EnhanceMenuItem")
    (result,) = world.results()
    assert Path(result.path).name.endswith("-a-phone.jpg")
    assert json.loads(result.properties["parameters"])["strength"] == 81
    portrait.quit()
    kept = world.prefs["settings"]
    assert (kept["strength"], kept["preset"], kept["resultFormat"]) == (81, "phone", "jpeg")


def test_nonsense_in_the_preferences_does_no_harm(world: World, bridge: RunningBridge) -> None:
    world.prefs["settings"] = {
        "strength": 7000,
        "mode": "wild",
        "naming": "fixed",
        "quality": "many",
        "old": 1,
    }
    host = Host(world)
    world.add("a.nef")
    host.menu("EnhanceAgain")
    (result,) = world.results()
    assert json.loads(result.properties["parameters"])["strength"] == 100
    assert Path(result.path).name == "a-GPEN.tif"


def test_the_users_own_presets(world: World, portrait: Host, bridge: RunningBridge) -> None:
    seen: dict[str, Any] = {}

    def person(dialog: Dialog) -> Generator[float, None, str]:
        yield 1.0
        dialog.set("strength", 33)
        dialog.set("saveName", "婚礼 soft")
        dialog.press("Save As")
        for _ in range(200):
            if "婚礼 soft" in dialog.items("preset"):
                break
            yield 0.2
        yield 0.5
        seen["chosen"] = dialog.get("preset")
        dialog.set("preset", "default")
        dialog.set("preset", "婚礼 soft")
        seen["strength"] = dialog.get("strength")
        dialog.set("saveName", "phone")
        dialog.press("Save As")
        for _ in range(200):
            if any("Built-in presets cannot be changed" in text for text in dialog.texts()):
                seen["refused"] = True
                break
            yield 0.2
        return "cancel"

    portrait.people = [person]
    portrait.menu("EnhanceMenuItem")
    assert seen == {"chosen": "婚礼 soft", "strength": 33, "refused": True}


def test_the_state_of_the_bridge_is_told(world: World, portrait: Host) -> None:
    seen: list[str] = []

    def person(dialog: Dialog) -> Generator[float, None, str]:
        yield 3.0
        seen.extend(dialog.texts())
        return "cancel"

    portrait.people = [person]
    portrait.menu("EnhanceMenuItem")
    assert "The GPEN bridge does not answer." in seen
    assert "Start Bridge" in seen
    assert any("not installed" in text for text in seen)  # the preview's own words


@pytest.mark.parametrize("when", [0.0, 0.3, 1.0, 2.0])
def test_it_may_be_closed_at_any_time(
    world: World, portrait: Host, bridge: RunningBridge, when: float
) -> None:
    def person(_: Dialog) -> Generator[float, None, str]:
        yield when
        return "cancel"

    people: list[Person] = [person]
    portrait.people = people
    portrait.menu("EnhanceMenuItem")
    assert world.leftovers() == []
    assert list((world.root / "temp" / "gpen-enhance").glob("preview-*")) == []


def test_a_photo_without_a_face_still_shows_something(
    world: World, portrait: Host, bridge: RunningBridge
) -> None:
    bridge.fakes.detector.detect = lambda *_, **__: []  # type: ignore[method-assign]

    def person(dialog: Dialog) -> Generator[float, None, str]:
        yield from until_new(dialog, 1, None)
        yield 0.2
        assert "No face was found in the first photo" in dialog.texts()
        return "cancel"

    portrait.people = [person]
    portrait.menu("EnhanceMenuItem")
