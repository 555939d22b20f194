"""Every way in besides the dialog: menus, post-process action, export service, manager panel, pairing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import lupa.lua51 as lupa
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.plugins.lightroom import surface
from tests.plugins.lightroom.conftest import RunningBridge
from tests.plugins.lightroom.darkroom import kind_of, pixels_of
from tests.plugins.lightroom.host import Host, run_for_real
from tests.plugins.lightroom.person import Dialog
from tests.plugins.lightroom.wire import Fault
from tests.plugins.lightroom.world import PLUGIN, PLUGIN_ID, World

NOTHING = {"strength": 0, "denoise": 0, "sharpen": 0}


@pytest.fixture
def info(host: Host) -> Any:
    """Info.lua in its tiny environment: no import, no require, nothing but these."""
    environment = {
        b"string": host.lua.globals()[b"string"],
        b"LOC": host.environment[b"LOC"],
        b"_VERSION": b"Lua 5.1",
    }
    load = host.lua.eval(b"function(source, env) return setfenv(assert(loadstring(source)), env)() end")
    return host.from_lua(load((PLUGIN / "Info.lua").read_bytes(), host.lua.table_from(environment)))


def test_the_manifest_names_what_is_there(info: Any) -> None:
    assert set(info) <= surface.INFO_KEYS
    assert info["LrToolkitIdentifier"] == PLUGIN_ID
    files = [info[key] for key in ("LrPluginInfoProvider", "LrInitPlugin", "LrMetadataProvider")]
    files += [info["LrExportFilterProvider"]["file"], info["LrExportServiceProvider"]["file"]]
    for menu in ("LrLibraryMenuItems", "LrExportMenuItems", "LrHelpMenuItems"):
        for item in info[menu]:
            files.append(item["file"])
            assert item.get("enabledWhen", "photosSelected") in ("photosSelected", "photosAvailable")
    for name in files:
        assert (PLUGIN / name).is_file(), name
    assert [item["file"] for item in info["LrLibraryMenuItems"]] == [
        item["file"] for item in info["LrExportMenuItems"]
    ]
    # Every file is a door or is required by somebody.
    required = set(
        re.findall(r'require\(?\s*"(\w+)"', "".join(p.read_text("utf-8") for p in PLUGIN.glob("*.lua")))
    )
    assert {path.stem for path in PLUGIN.glob("*.lua")} == required | {Path(name).stem for name in files} | {
        "Info"
    }


def test_every_sdk_name_in_the_sources_is_on_the_surface() -> None:
    """Also on lines that no test runs."""
    for path in PLUGIN.glob("*.lua"):
        text = path.read_text("utf-8")
        for name in re.findall(r'import "(\w+)"', text):
            assert name in surface.NAMESPACES, (path.name, name)
        for space, name in re.findall(r"\b(Lr[A-Z]\w+)\.(\w+)", text):
            known = {re.sub(r"\W", "", word) for word in surface.NAMESPACES[space].split()}
            assert name in known, (path.name, f"{space}.{name}")


# --- the post-process action -------------------------------------------------


def export(world: World, **changes: Any) -> dict[str, Any]:
    folder = world.root / "exported"
    folder.mkdir(exist_ok=True)
    return {
        "LR_format": "JPEG",
        "LR_jpeg_quality": 0.8,
        "LR_export_bitDepth": 8,
        "LR_export_colorSpace": "sRGB",
        "LR_export_destinationType": "specificFolder",
        "LR_export_destinationPathPrefix": world.disk.shown(folder),
        **changes,
    }


@pytest.mark.parametrize(
    ("form", "depth", "kind"),
    [("JPEG", 8, "JPEG"), ("TIFF", 8, "TIFF"), ("TIFF", 16, "TIFF"), ("PNG", 8, "PNG")],
)
def test_the_action_leaves_the_form_that_was_asked_for(
    world: World, host: Host, bridge: RunningBridge, form: str, depth: int, kind: str
) -> None:
    photos = [world.add("a.nef"), world.add("婚礼.nef")]
    told = host.export_filter(photos, export(world, LR_format=form, LR_export_bitDepth=depth))
    assert set(told.values()) == {True}
    for path in map(Path, told):
        assert kind_of(path) == kind
        if form == "TIFF":
            assert tifffile.imread(path).dtype == (np.uint16 if depth == 16 else np.uint8)
        else:
            with Image.open(path) as image:
                assert image.size == (96, 64)
    assert world.leftovers() == []
    assert world.results() == []


def test_the_action_loses_no_bit_on_its_way(world: World, host: Host, bridge: RunningBridge) -> None:
    photo = world.add("a.nef")
    told = host.export_filter([photo], export(world, LR_format="TIFF", LR_export_bitDepth=16, **NOTHING))
    (path,) = told
    np.testing.assert_array_equal(tifffile.imread(path), pixels_of(photo.uuid, photo.develop, 96, 64))


@pytest.mark.parametrize("changes", [{"LR_format": "PSD"}, {"LR_jpeg_useLimitSize": True}])
def test_what_the_action_cannot_write_it_refuses(
    world: World, host: Host, bridge: RunningBridge, changes: dict[str, Any]
) -> None:
    told = host.export_filter([world.add("a.nef")], export(world, **changes))
    assert set(told.values()) == {False}
    assert "JPEG, TIFF and PNG" in host.rendition_failures[0][1]
    assert not any(Path(path).exists() for path in told)  # nothing that only looks enhanced


def test_without_a_bridge_the_action_says_so(world: World, host: Host) -> None:
    told = host.export_filter([world.add("a.nef")], export(world))
    assert set(told.values()) == {False}
    assert "not installed" in host.rendition_failures[0][1]


def test_one_failed_rendition_leaves_the_others_alone(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    photos = [world.add("a.nef"), world.add("b.nef")]
    host.plans[photos[0].uuid] = (0.1, "out of memory")
    told = host.export_filter(photos, export(world))
    assert [Path(path).exists() for path in told] == [False, True]
    assert list(told.values()) == [False, True]
    assert world.leftovers() == []


@pytest.mark.parametrize("when", ["while the bridge works", "while it is handed over", "before"])
def test_the_action_may_be_cancelled(world: World, bridge: RunningBridge, when: str) -> None:
    host = Host(world, stepped=True)
    photos = [world.add("a.nef"), world.add("b.nef")]
    asked = {"while the bridge works": "GET .*/items/0$", "while it is handed over": "POST /v1/jobs$"}
    bridge.fakes.engine.gate.clear()

    def cancel(running: Host) -> bool:
        return running.wire.counts(asked.get(when, "GET /v1/health")) > 0

    host.cancel_when = cancel
    told = host.export_filter(photos, export(world))
    assert host.canceled_at is not None
    assert not host.failures, "\n".join(host.failures)
    assert set(told.values()) == {False}
    assert {words for _, words in host.rendition_failures} == {"Cancelled."}
    assert host.renders.total() == (0 if when == "before" else 1)
    assert world.leftovers() == []
    # Nobody works on for nobody; the file may have gone before the bridge looked at it.
    assert set(bridge.states()) <= {"cancelled", "failed"}
    host.quit()


@pytest.mark.parametrize(("count", "priority"), [(3, "interactive"), (4, "batch")])
def test_an_export_of_few_photos_goes_before_every_batch(
    world: World, host: Host, bridge: RunningBridge, count: int, priority: str
) -> None:
    told = host.export_filter([world.add(f"{number}.nef") for number in range(count)], export(world))
    assert set(told.values()) == {True}
    (job,) = [one for one in host.wire.exchanges if (one.method, one.path) == ("POST", "/v1/jobs")]
    assert json.loads(job.body)["priority"] == priority
    assert host.portions[-1] == (count - 1, count)


@pytest.mark.parametrize("how", ["refused", "hangs"])
def test_the_action_waits_once_for_a_bridge_that_stays_away(
    world: World, bridge: RunningBridge, how: str
) -> None:
    host = Host(world, speed=200)
    photos = [world.add(f"{number}.nef") for number in range(3)]
    host.wire.faults = [Fault("POST /v1/jobs", how)]
    begun = host.now()
    told = host.export_filter(photos, export(world))
    assert set(told.values()) == {False}
    assert host.now() - begun < 200
    assert host.renders.total() == 1
    assert not host.failures, "\n".join(host.failures)


def test_the_actions_dialog(world: World, host: Host, bridge: RunningBridge) -> None:
    provider = host.script("ExportFilter")
    keys = {field["key"] for field in host.from_lua(provider[b"exportPresetFields"])}
    assert keys == {"preset", "strength", "denoise", "sharpen", "mode", "faces", "checkpoint"}
    properties = host.kernel[b"newTable"]()
    properties[b"LR_format"] = b"JPEG"
    provider[b"startDialog"](properties)
    assert properties[b"LR_cantExportBecause"] is None
    properties[b"LR_format"] = b"DNG"
    assert b"JPEG, TIFF and PNG" in properties[b"LR_cantExportBecause"]
    section = provider[b"sectionForFilterInDialog"](host.kernel[b"factory"], properties)
    assert section[b"title"] == b"GPEN Enhance"
    properties[b"preset"] = b"phone"
    assert properties[b"strength"] == 75
    provider[b"endDialog"](properties)
    host.run()


# --- the export service ------------------------------------------------------


def service_defaults(host: Host) -> dict[str, Any]:
    fields = host.from_lua(host.script("ExportService")[b"exportPresetFields"])
    return {field["key"]: field["default"] for field in fields}


def test_the_service_brings_results_beside_their_originals(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    photos = [world.add("a.nef"), world.add("b.nef"), world.add("film.mov", video=True)]
    host.answers = [("2 photos enhanced. 1 were left out", "cancel")]
    host.export_service(photos[:2] + photos[2:], {**service_defaults(host), "LR_format": "JPEG"})
    assert {Path(result.path).name for result in world.results()} == {"a-GPEN.tif", "b-GPEN.tif"}
    assert tifffile.imread(world.results()[0].path).dtype == np.uint16
    assert len(world.catalog.stacks) == 2
    assert world.leftovers() == []


def test_the_service_brings_results_into_a_folder(world: World, host: Host, bridge: RunningBridge) -> None:
    target = world.root / "delivery"
    settings = {
        **service_defaults(host),
        "serviceFolder": str(target),
        "resultFormat": "jpeg",
        "LR_format": "TIFF",
    }
    host.answers = [("2 photos enhanced|One photo", "cancel")]
    host.export_service([world.add("a.nef"), world.add("b.nef")], settings)
    assert sorted(path.name for path in target.iterdir()) == ["a-GPEN.jpg", "b-GPEN.jpg"]
    assert world.catalog.stacks == {}
    assert world.leftovers() == []


def test_a_failed_render_of_the_service(world: World, host: Host, bridge: RunningBridge) -> None:
    photos = [world.add("a.nef"), world.add("b.nef")]
    host.plans[photos[0].uuid] = (0.1, "dng_error_file_not_found")
    host.answers = [("One photo enhanced. 1 failed", "cancel")]
    host.export_service(photos, {**service_defaults(host), "LR_format": "TIFF"})
    assert host.rendition_failures == [(photos[0].uuid, "Lightroom could not render the photo.")]
    assert world.leftovers() == []


def own_pixels(world: World) -> bool:
    """Every result holds the pixels of the photo that it is named after, linked to and stacked on."""
    for result in world.results():
        source = world.catalog.photos[result.properties["sourceUuid"]]
        assert Path(result.path).stem == f"{Path(source.path).stem}-GPEN"
        np.testing.assert_array_equal(
            tifffile.imread(result.path), pixels_of(source.uuid, source.develop, 96, 64)
        )
    return True


@pytest.mark.parametrize("where", ["render", "bridge"])
def test_the_service_puts_no_picture_under_anothers_name(
    world: World, host: Host, bridge: RunningBridge, where: str
) -> None:
    """What the host rendered badly it does not render again: the next one is the next photo's."""
    photos = [world.add("a.nef"), world.add("b.nef"), world.add("c.nef")]
    settings = {**service_defaults(host), **NOTHING, "LR_format": "TIFF"}
    if where == "render":
        host.plans[photos[0].uuid] = (0.1, "empty")
        words = "a.nef: Lightroom rendered no complete file."
    else:
        problem = {"code": "image_truncated", "title": "x", "detail": "", "hint": "", "retryable": False}
        item = {"item": 0, "state": "failed", "error": problem}
        host.wire.faults = [Fault("GET .*/items/0$", (200, json.dumps(item).encode()))]
        words = "a.nef: The rendered file ends before the picture does."
    host.answers = [("2 photos enhanced. 1 failed", "cancel")]
    host.export_service(photos, settings)
    assert words in host.confirmations[0].info
    assert {Path(result.path).name for result in world.results()} == {"b-GPEN.tif", "c-GPEN.tif"}
    assert own_pixels(world)
    assert world.leftovers() == []


def test_the_service_takes_the_hosts_order_as_it_comes(
    world: World, host: Host, bridge: RunningBridge
) -> None:
    host.renders_backwards = True
    photos = [world.add("a.nef"), world.add("film.mov", video=True), world.add("b.nef"), world.add("c.nef")]
    host.answers = [("3 photos enhanced. 1 were left out", "cancel")]
    host.export_service(photos, {**service_defaults(host), **NOTHING, "LR_format": "TIFF"})
    assert len(world.results()) == 3
    assert own_pixels(world)
    assert world.leftovers() == []


def test_the_service_tells_that_space_is_short(world: World, host: Host, bridge: RunningBridge) -> None:
    target = world.root / "delivery"
    world.disk.free[target] = 10_000
    settings = {**service_defaults(host), "serviceFolder": str(target), "LR_format": "TIFF"}
    host.answers = [("2 photos enhanced", "cancel")]
    host.export_service([world.add("a.nef"), world.add("b.nef")], settings)
    (told,) = host.messages
    assert told.style == "bezel"
    assert told.text.startswith("Space is short")
    assert told.text.endswith(str(target))


METADATA = {
    "LR_embeddedMetadataOption": "copyrightOnly",
    "LR_minimizeEmbeddedMetadata": True,
    "LR_metadata_keywordOptions": "flat",
    "LR_removeLocationMetadata": True,
    "LR_removeFaceMetadata": True,
}


def test_a_resumed_export_keeps_to_the_metadata_that_was_chosen(world: World, bridge: RunningBridge) -> None:
    photos = [world.add("a.nef"), world.add("b.nef")]
    host = Host(world)
    host.kill_at = ("LrExportRendition.waitForRender", 2)
    host.export_service(photos, {**service_defaults(host), "LR_format": "TIFF", **METADATA})
    assert list(host.render_settings) == [photos[0].uuid]
    assert METADATA.items() <= host.render_settings[photos[0].uuid].items()
    later = Host(world)
    later.answers = [("2 photos of an interrupted", "ok"), ("2 photos enhanced", "cancel")]
    later.menu("ResumeMenuItem")
    assert not later.failures, "\n".join(later.failures)
    assert METADATA.items() <= later.render_settings[photos[1].uuid].items()
    assert world.leftovers() == []


def test_the_services_presets_are_lua_that_names_it(host: Host) -> None:
    templates = sorted((PLUGIN / "presets").glob("*.lrtemplate"))
    assert len(templates) == 2
    known = set(service_defaults(host))
    for template in templates:
        runtime = lupa.LuaRuntime()
        runtime.execute(template.read_text("utf-8"))
        preset = runtime.globals().s
        assert preset.type == "Export"
        assert preset.value.exportServiceProvider == PLUGIN_ID
        assert set(preset.value) - {"exportServiceProvider"} <= known


def test_the_services_dialog(world: World, host: Host, bridge: RunningBridge) -> None:
    provider = host.script("ExportService")
    properties = host.kernel[b"newTable"]()
    for key, value in service_defaults(host).items():
        properties[key.encode()] = host.to_lua(value)
    provider[b"startDialog"](properties)
    sections = provider[b"sectionsForTopOfDialog"](host.kernel[b"factory"], properties)
    assert [section[b"title"] for section in sections.values()] == [b"Restoration", b"Result"]
    host.run()
    assert b"on a fake device" in properties[b"bridgeState"]
    provider[b"endDialog"](properties)


# --- the manager panel and a bridge on another computer ----------------------


class Panel:
    """The plug-in's panel in the Plug-in Manager."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._provider = host.script("PluginInfo")
        self.properties = host.kernel[b"newTable"]()
        self._provider[b"startDialog"](self.properties)
        host.run()
        sections = self._provider[b"sectionsForTopOfDialog"](host.kernel[b"factory"], self.properties)
        views = host.lua.eval(
            b"""function(K, sections)
                local out = {}
                for _, section in ipairs(sections) do
                    for _, view in ipairs(section) do K.walk(view, section.bind_to_object, out) end
                end
                return { arguments = { title = "GPEN Enhance" }, views = out }
            end"""
        )(host.kernel, sections)
        self.dialog = Dialog(host, lambda: views)

    def press(self, title: str) -> None:
        self.dialog.press(title)
        self._host.run()

    def close(self) -> None:
        self._provider[b"endDialog"](self.properties)
        self._host.run()


def test_the_panel_shows_diagnoses_and_clears(world: World, host: Host, bridge: RunningBridge) -> None:
    stale = world.bridge_home / "exchange" / "lightroom-1-1-0001" / "1"
    stale.mkdir(parents=True)
    (stale / "old.tif").write_bytes(b"x")
    panel = Panel(host)
    texts = panel.dialog.texts()
    assert any("on a fake device, 0 in the queue" in text for text in texts)
    assert any(text.startswith("Language: en") for text in texts)
    assert "Temporary folders: 1" in texts
    panel.press("Diagnose")
    diagnosis = host.messages[0].info
    assert f"Local bridge: {bridge.url}" in diagnosis
    assert "Nothing is known to start" in diagnosis
    assert bridge.announcement.token not in diagnosis
    panel.press("Clear")
    assert not stale.exists()
    panel.press("Show Log")
    assert host.messages[-1].text == "There is no log yet."
    log = world.root / "home" / "Documents" / "LrClassicLogs" / "GPENEnhance.log"
    log.parent.mkdir(parents=True)
    log.write_text("")
    panel.press("Show Log")
    assert host.revealed == [str(log)]
    panel.close()


def test_the_panel_starts_the_bridge(world: World, host: Host, start_bridge: Any) -> None:
    panel = Panel(host)
    assert "The GPEN bridge does not answer." in panel.dialog.texts()
    panel.dialog.set("startCommand", "true")

    def execute(line: str) -> int:
        start_bridge()
        return run_for_real(line)

    host.execute = execute
    panel.press("Start Bridge")
    assert any("fake device" in text for text in panel.dialog.texts())
    panel.close()
    host.quit()
    assert world.prefs["connection"]["startCommand"] == "true"


def test_a_remote_bridge_by_pairing_and_upload(world: World, bridge: RunningBridge) -> None:
    world.bridge_home.joinpath("bridge.json").unlink()  # it is another computer's
    host = Host(world)
    photo = world.add("婚礼.nef")
    panel = Panel(host)
    panel.dialog.set("pairUrl", bridge.url + "/")
    panel.dialog.set("pairCode", "WRONG-CODE")
    panel.press("Pair")
    assert host.messages[-1].text == "The pairing code is wrong or has expired."
    panel.dialog.set("pairCode", bridge.pairing_code())
    panel.press("Pair")
    assert any("fake device" in text for text in panel.dialog.texts())
    panel.close()
    host.quit()
    assert world.prefs["connection"]["remoteUrl"] == bridge.url
    (token,) = world.passwords.values()
    assert token not in str(world.prefs)  # in the key chain only

    later = Host(world)
    later.menu("EnhanceAgain")
    assert not later.failures, "\n".join(later.failures)
    (result,) = world.results()
    assert result.properties["sourceUuid"] == photo.uuid
    assert later.wire.counts("POST /v1/uploads$") == 1
    assert later.wire.counts("GET .*/result$") == 1
    assert all(token not in line for line in later.logged)
    assert world.leftovers() == []

    panel = Panel(Host(world))
    panel.press("Use This Computer")
    assert panel.properties[b"remoteUrl"] == b""


def test_a_second_click_on_pair_sends_no_second_code(world: World, host: Host, bridge: RunningBridge) -> None:
    panel = Panel(host)
    panel.dialog.set("pairUrl", bridge.url)
    panel.dialog.set("pairCode", "WRONG-CODE")
    panel.press("Pair")
    panel.dialog.set("pairCode", bridge.pairing_code())
    panel.dialog.press("Pair")
    panel.press("Pair")
    assert host.wire.counts("POST /v1/pair$") == 2  # one a try
    assert [message.text for message in host.messages] == ["The pairing code is wrong or has expired."]
    panel.close()


def pair(host: Host, url: str, code: str) -> None:
    panel = Panel(host)
    panel.dialog.set("pairUrl", url)
    panel.dialog.set("pairCode", code)
    panel.press("Pair")
    panel.close()


def test_a_studios_bridge_over_tls_by_pairing_and_upload(world: World, studio_bridge: RunningBridge) -> None:
    host = Host(world)
    pair(host, studio_bridge.lan_url, studio_bridge.pairing_code())
    assert not host.messages
    host.quit()
    assert world.prefs["connection"]["remoteUrl"] == studio_bridge.lan_url
    (token,) = world.passwords.values()

    later = Host(world)
    photos = [world.add("婚礼.nef"), world.add("b.nef")]
    later.wire.faults.append(Fault("PATCH /v1/uploads/", "lost", times=1))  # a wire broke
    later.answers = [("2 photos enhanced", "cancel")]
    later.menu("EnhanceAgain")
    assert not later.failures, "\n".join(later.failures)
    assert sorted(one.properties["sourceUuid"] for one in world.results()) == [one.uuid for one in photos]
    assert later.wire.counts("GET .*/result$") == 2
    exchanges = host.wire.exchanges + later.wire.exchanges
    assert {one.scheme for one in exchanges} == {"https"}
    assert all(token not in line for line in host.logged + later.logged)
    assert world.leftovers() == []


@pytest.mark.parametrize("how", ["refused", "lost"])
@pytest.mark.parametrize("before", [0, 1])
def test_an_upload_goes_on_where_a_wire_broke(
    world: World, studio_bridge: RunningBridge, how: str, before: int
) -> None:
    host = Host(world)
    pair(host, studio_bridge.lan_url, studio_bridge.pairing_code())
    host.quit()
    later = Host(world)
    later.render_size = (1700, 1000)  # two pieces
    world.add("婚礼.nef")
    later.wire.faults.append(Fault("PATCH /v1/uploads/", how, times=1, after=before))
    later.menu("EnhanceAgain")
    assert not later.failures, "\n".join(later.failures)
    assert len(world.results()) == 1
    assert later.wire.counts("POST /v1/uploads$") == 1
    arrived = [one for one in later.wire.exchanges if one.method == "PATCH" and one.status == 200]
    assert len(arrived) == 2  # no byte came twice
    assert len({one.path for one in arrived}) == 1
    (offsets, bodies) = zip(
        *((int(one.headers["Upload-Offset"]), len(one.body)) for one in arrived), strict=True
    )
    assert offsets == (0, bodies[0])


def test_an_upload_that_the_bridge_has_forgotten_begins_anew(
    world: World, studio_bridge: RunningBridge
) -> None:
    host = Host(world)
    pair(host, studio_bridge.lan_url, studio_bridge.pairing_code())
    host.quit()
    later = Host(world)
    world.add("a.nef")
    unknown = b'{"code": "upload_unknown", "title": "x", "detail": "", "hint": "", "retryable": false}'
    later.wire.faults += [
        Fault("PATCH /v1/uploads/", "refused", times=1),
        Fault("GET /v1/uploads/", (404, unknown), times=1),
    ]
    later.menu("EnhanceAgain")
    assert not later.failures, "\n".join(later.failures)
    assert len(world.results()) == 1
    assert later.wire.counts("POST /v1/uploads$") == 2


def test_a_second_render_is_sent_as_a_file_of_its_own(world: World, studio_bridge: RunningBridge) -> None:
    host = Host(world)
    pair(host, studio_bridge.lan_url, studio_bridge.pairing_code())
    host.quit()
    later = Host(world)
    world.add("a.nef")
    problem = {"code": "image_truncated", "title": "x", "detail": "", "hint": "", "retryable": False}
    item = {"item": 0, "state": "failed", "error": problem}
    later.wire.faults = [Fault("GET .*/items/0$", (200, json.dumps(item).encode()), times=1)]
    later.menu("EnhanceAgain")
    assert len(world.results()) == 1
    assert later.renders.total() == 2
    assert later.wire.counts("POST /v1/uploads$") == 2


def test_a_studios_bridge_whose_authority_is_not_trusted_is_told_nothing(
    world: World, studio_bridge: RunningBridge
) -> None:
    world.authority = None
    host = Host(world)
    pair(host, studio_bridge.lan_url, studio_bridge.pairing_code())
    assert host.messages
    assert world.passwords == {}
    assert all(one.status is None for one in host.wire.exchanges)


def test_a_revoked_token_is_told(world: World, bridge: RunningBridge) -> None:
    world.prefs["connection"] = {"remoteUrl": bridge.url}
    world.passwords["bridge-token", "gpen-enhance"] = "revoked"
    host = Host(world)
    world.add("a.nef")
    host.menu("EnhanceAgain")
    (message,) = host.messages
    assert "The bridge does not know this computer. Pair it again." in message.text
    assert host.renders.total() == 0  # before the first render, and without sending the token
    assert all("Authorization" not in exchange.headers for exchange in host.wire.exchanges)


def test_a_remote_bridge_without_pairing(world: World, host: Host, bridge: RunningBridge) -> None:
    world.add("a.nef")
    host.script("EnhanceAgain")
    host.environment[b"require"](b"Prefs")[b"keepConnection"](host.to_lua({"remoteUrl": bridge.url}))
    host.run()
    assert "not paired" in host.messages[0].text


# --- the other items ---------------------------------------------------------


def test_rejected_results_are_collected(world: World, host: Host, bridge: RunningBridge) -> None:
    for name in ("a.nef", "b.nef", "c.nef"):
        world.add(name)
    host.answers = [("3 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    one, other, kept = world.results()
    one.properties["verdict"] = "rejected"
    other.raw["pickStatus"] = -1
    kept.properties["verdict"] = "accepted"
    host.menu("CollectRejected")
    assert world.catalog.snapshot()["collections"]["GPEN Rejected"] == [one.uuid, other.uuid]
    assert host.messages[-1].text == "2 rejected results are in the collection GPEN Rejected."
    assert host.wire.counts("POST .*/review") == 3
    assert all(exchange.status == 200 for exchange in host.wire.exchanges if "review" in exchange.path)
    one.properties["verdict"] = "accepted"
    host.menu("CollectRejected")
    assert world.catalog.snapshot()["collections"]["GPEN Rejected"] == [other.uuid]
    assert len(world.catalog.photos) == 6  # nothing was deleted


def test_help_opens(host: Host) -> None:
    host.menu("HelpMenuItem")
    assert host.urls == [f"file://{PLUGIN}/help.html"]
    host.world.language = "zh_cn"
    host.menu("HelpMenuItem")
    assert (PLUGIN / host.urls[1].rpartition("/")[2]).is_file()


# --- Windows -----------------------------------------------------------------


def test_on_windows_with_a_name_that_is_not_ascii(tmp_path: Path) -> None:
    world = World(tmp_path / "Ł", windows=True)
    assert world.disk.path("getStandardFilePath", "home") == "C:\\home"
    host = Host(world)
    line: list[str] = []
    host.execute = lambda command: line.append(command) or 0
    host.environment[b"require"](b"Prefs")[b"keepConnection"](
        host.to_lua({"startCommand": '"C:\\Program Files (x86)\\GPEN\\gpen-bridge.exe" serve'})
    )
    start = host.require("Connection")[b"startLine"]()
    assert start == b'"start "GPEN Enhance" /min "C:\\Program Files (x86)\\GPEN\\gpen-bridge.exe" serve"'


def test_a_windows_run(tmp_path: Path, start_windows: Any) -> None:
    world, _ = start_windows
    host = Host(world)
    world.add("Łódź 1.nef", folder="photos/zdjęcia")
    world.add("b.nef", folder="photos/zdjęcia")
    host.answers = [("2 photos enhanced", "cancel")]
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    assert {result.path for result in world.results()} == {
        "C:\\photos\\zdjęcia\\Łódź 1-GPEN.tif",
        "C:\\photos\\zdjęcia\\b-GPEN.tif",
    }
    assert len(world.catalog.stacks) == 2
    assert world.leftovers() == []
