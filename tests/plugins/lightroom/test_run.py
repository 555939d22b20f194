"""Selections through the real bridge and back into the catalogue."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from bridge.imaging.colour import named_profile
from tests.plugins.lightroom.conftest import RunningBridge
from tests.plugins.lightroom.darkroom import PROFILES, kind_of, pixels_of
from tests.plugins.lightroom.host import Host
from tests.plugins.lightroom.person import Dialog
from tests.plugins.lightroom.world import World

NOTHING = {"strength": 0, "denoise": 0, "sharpen": 0}


def keep(world: World, **settings: Any) -> None:
    """The settings of the last time."""
    world.prefs["settings"] = settings


def pixels(path: str) -> Any:
    return tifffile.imread(io.BytesIO(Path(path).read_bytes()))


def test_one_photo_comes_back_above_its_original(world: World, host: Host, bridge: RunningBridge) -> None:
    photo = world.add("a.nef")
    before = copy.deepcopy(world.catalog.snapshot())
    original = Path(photo.path).read_bytes()
    host.menu("EnhanceAgain")

    (result,) = world.results()
    assert result.path == str(world.root / "photos" / "a-GPEN.tif")
    assert world.catalog.stacks.popitem()[1] == [result.uuid, photo.uuid]
    after = world.catalog.snapshot()
    assert after["photos"][photo.uuid] == before["photos"][photo.uuid]
    assert Path(photo.path).read_bytes() == original
    assert after["collections"] == {"GPEN Enhanced": [result.uuid]}
    assert after["photos"][result.uuid]["keywords"] == ["GPEN Enhanced"]
    fields = result.properties
    assert (fields["sourceUuid"], fields["preset"], fields["verdict"]) == (photo.uuid, "default", "open")
    assert json.loads(fields["parameters"])["strength"] == 70
    assert fields["checkpoint"] == "fake"
    assert fields["bridgeVersion"]
    assert world.catalog.gates == 2  # one to add, one to describe
    assert world.leftovers() == []
    assert [message.text for message in host.messages] == ["One photo enhanced."]
    rendered = pixels_of(photo.uuid, photo.develop, 96, 64)
    assert pixels(result.path).dtype == np.uint16
    assert not np.array_equal(pixels(result.path), rendered)


@pytest.mark.parametrize("space", sorted(PROFILES))
def test_sixteen_bits_and_the_profile_survive_to_the_last_bit(
    world: World, bridge: RunningBridge, space: str
) -> None:
    keep(world, colorSpace=space, **NOTHING)
    host = Host(world)
    photo = world.add("a.nef")
    host.menu("EnhanceAgain")
    (result,) = world.results()
    np.testing.assert_array_equal(pixels(result.path), pixels_of(photo.uuid, photo.develop, 96, 64))
    with tifffile.TiffFile(result.path) as file:
        assert file.pages[0].tags[34675].value == named_profile(PROFILES[space])  # type: ignore[union-attr]


@pytest.mark.parametrize(("form", "name", "depth"), [("tiff8", "a-GPEN.tif", 8), ("jpeg", "a-GPEN.jpg", 8)])
def test_the_chosen_form(world: World, bridge: RunningBridge, form: str, name: str, depth: int) -> None:
    keep(world, resultFormat=form, quality=40)
    host = Host(world)
    world.add("a.nef")
    host.menu("EnhanceAgain")
    (result,) = world.results()
    path = Path(result.path)
    assert path.name == name
    if form == "jpeg":
        with Image.open(path) as image:
            assert image.format == "JPEG"
    else:
        assert pixels(result.path).dtype == np.uint8


@pytest.mark.parametrize(
    ("item", "strength", "mode"),
    [
        ("EnhanceDefault", 70, "natural"),
        ("EnhanceDslr", 60, "natural"),
        ("EnhancePhone", 75, "detail"),
        ("EnhanceOldPhoto", 90, "strong"),
    ],
)
def test_each_preset_has_a_door(
    world: World, host: Host, bridge: RunningBridge, item: str, strength: int, mode: str
) -> None:
    world.add("a.nef")
    host.menu(item)
    (result,) = world.results()
    parameters = json.loads(result.properties["parameters"])
    assert (parameters["strength"], parameters["mode"]) == (strength, mode)


def test_twenty_photos_take_their_metadata_along(world: World, host: Host, bridge: RunningBridge) -> None:
    for number in range(20):
        photo = world.add(f"{number:02d}.nef")
        photo.raw |= {
            "rating": number % 6,
            "colorNameForLabel": "red",
            "gps": {"latitude": 1.5, "longitude": 2},
        }
        photo.raw |= {"dateTimeOriginalISO8601": "2026-05-01T10:00:00", "copyrightState": "copyrighted"}
        photo.formatted |= {"title": f"Portrait {number}", "caption": "one\u2028two", "copyright": "(c) Anna"}
        world.catalog.keywords[f"k{number}"] = (f"guest {number}", None)
        photo.keywords.append(f"k{number}")
    before = copy.deepcopy(world.catalog.snapshot())
    host.answers = [("20 photos enhanced", "ok")]
    host.menu("EnhanceAgain")

    after = world.catalog.snapshot()
    assert {uuid: after["photos"][uuid] for uuid in before["photos"]} == before["photos"]
    by_source = {result.properties["sourceUuid"]: result for result in world.results()}
    assert len(by_source) == 20
    for number, uuid in enumerate(before["photos"]):
        result = by_source[uuid]
        taken = after["photos"][result.uuid]
        assert taken["raw"]["rating"] == number % 6
        assert taken["raw"]["colorNameForLabel"] == "red"
        assert taken["raw"]["gps"] == {"latitude": 1.5, "longitude": 2}
        assert taken["raw"]["copyrightState"] == "copyrighted"
        assert taken["formatted"]["title"] == f"Portrait {number}"
        assert taken["formatted"]["caption"] == "one\u2028two"
        assert taken["formatted"]["copyright"] == "(c) Anna"
        assert taken["formatted"]["dateCreated"] == "2026-05-01T10:00:00"
        assert taken["keywords"] == ["GPEN Enhanced", f"guest {number}"]
        assert [result.uuid, uuid] in after["stacks"]
    assert world.catalog.gates == 40
    assert host.wire.counts(r"POST /v1/jobs$") == 1  # one batch, however many photos
    assert host.renders.total() == 20
    assert world.leftovers() == []
    assert set(world.catalog.selected) == {result.uuid for result in world.results()}


def test_review_settings(world: World, bridge: RunningBridge) -> None:
    keep(world, label="purple", reviewKeyword=True, keyword="", collect=False, stack="below")
    host = Host(world)
    photo = world.add("a.nef")
    host.menu("EnhanceAgain")
    (result,) = world.results()
    after = world.catalog.snapshot()
    assert after["photos"][result.uuid]["raw"]["colorNameForLabel"] == "purple"
    assert after["photos"][result.uuid]["keywords"] == ["GPEN review"]
    assert after["collections"] == {}
    assert after["stacks"] == [[photo.uuid, result.uuid]]


@pytest.mark.slow
def test_a_hundred_and_twenty_photos(world: World, host: Host, bridge: RunningBridge) -> None:
    host.render_size, host.speed = (32, 24), 60.0
    for number in range(120):
        world.add(f"{number:03d}.nef")
    most = 0

    def look(_: Host) -> bool:
        nonlocal most
        rendered = len(list((world.bridge_home / "exchange").rglob("*.tif")))
        most = max(most, rendered)
        return False

    host.cancel_when = look
    host.answers = [("120 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    assert len({result.properties["sourceUuid"] for result in world.results()}) == 120
    assert host.renders.total() == 120
    assert world.leftovers() == []
    assert most <= 4  # rendered ahead, but only a little
    assert host.portions[-1] == (120, 120)


def test_nothing_selected_is_not_everything(world: World, host: Host, bridge: RunningBridge) -> None:
    world.add("a.nef")
    world.catalog.selected = []
    host.menu("EnhanceAgain")
    assert [message.text for message in host.messages] == ["Select the photos to enhance first."]
    assert world.results() == []


def test_unicode_and_clashing_names(world: World, host: Host, bridge: RunningBridge) -> None:
    names = ["婚礼 – 新娘.nef", "Zoë.nef", "zoë.jpg", "Ωmega.DNG", 'a\'b "c".nef', "x.nef"]
    for name in names:
        world.add(name, folder="photos/été 2026")
    world.add("x.nef", folder="photos/other")
    master = next(iter(world.catalog.photos.values()))
    world.virtual_copy(master)
    taken = world.root / "photos" / "été 2026" / "x-GPEN.tif"
    taken.write_bytes(b"somebody else's")
    host.answers = [("8 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    got = {Path(result.path).relative_to(world.root / "photos").as_posix() for result in world.results()}
    assert got == {
        "été 2026/婚礼 – 新娘-GPEN.tif",
        "été 2026/婚礼 – 新娘-GPEN-2.tif",
        "été 2026/Zoë-GPEN.tif",
        "été 2026/zoë-GPEN-2.tif",  # one file with the other on most disks
        "été 2026/Ωmega-GPEN.tif",
        "été 2026/a'b _c_-GPEN.tif",
        "été 2026/x-GPEN-2.tif",
        "other/x-GPEN.tif",
    }
    assert taken.read_bytes() == b"somebody else's"
    assert world.leftovers() == []


def again(world: World, verb: str) -> tuple[Host, Dialog | None]:
    """Enhance the same selection once more, answering the pre-flight with `verb`."""
    host = Host(world)
    seen: list[Dialog] = []

    def person(dialog: Dialog) -> Generator[float, None, str]:
        seen.append(dialog)
        yield 0.1
        dialog.set("conflict", verb)
        return "ok"

    host.people = [person]
    host.answers = [("enhanced|left out", "cancel")] * 2
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    return host, seen[0] if seen else None


def test_done_before_asks_once(world: World, host: Host, bridge: RunningBridge) -> None:
    photos = [world.add("a.nef"), world.add("b.nef")]
    host.answers = [("2 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    first = {result.uuid: Path(result.path).read_bytes() for result in world.results()}

    _, dialog = again(world, "skip")
    assert dialog is not None
    assert any("2 were enhanced with the same edits" in text for text in dialog.texts())
    assert len(world.results()) == 2

    photos[0].develop["Exposure2012"] = 2.0  # other edits: other work
    again(world, "skip")
    assert [Path(result.path).name for result in world.results()][2:] == ["a-GPEN-2.tif"]

    world.catalog.selected = [photos[1].uuid]
    again(world, "new")
    assert Path(world.results()[-1].path).name == "b-GPEN-2.tif"
    assert all(Path(world.catalog.photos[uuid].path).read_bytes() == data for uuid, data in first.items())


def test_replace_takes_the_place_of_the_earlier_result(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    world.add("a.nef")
    host.menu("EnhanceAgain")
    (before,) = world.results()
    Path(before.path).write_bytes(b"retouched since")
    again(world, "replace")
    (after,) = world.results()
    assert after.uuid == before.uuid
    assert kind_of(Path(after.path)) == "TIFF"
    assert world.disk.trashed == [after.path]  # and the earlier one can be had back
    assert world.leftovers() == []


def test_replace_waits_until_the_earlier_result_can_go(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    """On a volume without a trash, or while a program has the file: neither of the two is lost."""
    world.add("a.nef")
    host.menu("EnhanceAgain")
    (before,) = world.results()
    path = Path(before.path)
    path.write_bytes(b"retouched since")
    world.disk.untrashable.add(before.path)
    later, _ = again(world, "replace")
    assert path.read_bytes() == b"retouched since"
    assert "could not be moved to the trash" in later.confirmations[0].info
    assert not list(path.parent.glob("*.part"))

    path.unlink()  # as the sentence says
    last = Host(world)
    last.answers = [("1 photos of an interrupted GPEN run", "ok")]
    last.menu("ResumeMenuItem")
    assert not last.failures, "\n".join(last.failures)
    assert kind_of(path) == "TIFF"
    assert last.renders.total() == 0
    assert len(world.results()) == 1
    assert world.leftovers() == []


def test_a_file_that_cannot_come_to_its_place_lies_where_it_was(
    world: World, host: Host, tmp_path: Path
) -> None:
    source, target = tmp_path / "result", tmp_path / "a-GPEN.tif"
    source.write_bytes(b"new")
    target.write_bytes(b"mine")
    fine, problem = host.call(host.require("Files")[b"place"], str(source), str(target))
    assert (fine, problem["code"]) == (None, "disk_full")
    assert source.read_bytes() == b"new"
    assert target.read_bytes() == b"mine"
    assert not list(tmp_path.glob("*.part"))


def test_a_result_is_not_enhanced_again(world: World, host: Host, bridge: RunningBridge) -> None:
    world.add("a.nef")
    host.menu("EnhanceAgain")
    world.catalog.selected.append(world.results()[0].uuid)
    again(world, "skip")
    assert len(world.results()) == 1
