"""The emulator itself: what a live host refuses, it refuses too. Else the other tests prove nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins.lightroom.host import Host
from tests.plugins.lightroom.world import World

PRELUDE = """
local LrApplication, LrTasks = import "LrApplication", import "LrTasks"
local LrFileUtils, LrHttp = import "LrFileUtils", import "LrHttp"
local LrExportSession, LrView = import "LrExportSession", import "LrView"
local catalog = LrApplication.activeCatalog()
local photo = catalog:getTargetPhotos()[1]
local function gate(f, options) return catalog:withWriteAccessDo("test", f, options or { timeout = 1 }) end
"""


def attempt(host: Host, code: str, *, in_task: bool = True) -> str:
    """What a line of Lua in the sandbox comes to: its error, or what it returns as text."""
    results: list[str] = []
    chunk = host.kernel[b"chunk"]((PRELUDE + code).encode(), b"attempt")
    host.lua.execute(
        b"""
        local K, chunk, env, tell, in_task = ...
        local function try()
            local fine, value = K.pcall(chunk, env)
            tell(tostring(value))
        end
        if in_task then K.spawn("attempt", try) else try() end
        """,
        host.kernel,
        chunk,
        host.environment,
        lambda text: results.append(text.decode("utf-8", "replace")),
        in_task,
    )
    host.run()
    return results[0]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ('return LrFileUtils.isDirectory("/")', "LrFileUtils.isDirectory does not exist in the SDK"),
        ('import "LrUUID"', "there is no LrUUID"),
        ("return catalog.targetPhotos", "does not exist in the SDK"),
        ("return undefinedName", "Access to undefined global: undefinedName"),
        ("newName = 1", "a new global"),
        ('return os.getenv("HOME")', "attempt to call field 'getenv'"),
        ("collectgarbage()", "Access to undefined global"),
        (
            "local ok, why = pcall(LrTasks.sleep, 1) return why",
            "attempt to yield across metamethod/C-call boundary",
        ),
        ('local ok, why = pcall(photo.getRawMetadata, photo, "uuid") return why', "attempt to yield"),
        ('return photo:getRawMetadata("label")', "Unknown key: raw label"),
        ('return photo:getFormattedMetadata("nonsense")', "Unknown key"),
        ('photo:setRawMetadata("rating", 3)', "needs write access"),
        ("gate(function() gate(function() end) end)", "inside a gate"),
        ("gate(function() catalog:getTargetPhotos() end)", "inside a gate"),
        ("gate(function() LrTasks.sleep(1) end)", "inside a gate"),
        ('gate(function() LrHttp.get("http://127.0.0.1:1/") end)', "inside a gate"),
        ('gate(function() catalog:createKeyword("k", {}, false, nil, true):getName() end)', "inside a gate"),
        ('gate(function() photo:setRawMetadata("caption", "a\\nb") end)', "U+2028"),
        (
            'gate(function() photo:setPropertyForPlugin(_PLUGIN, "madeUp", "x") end)',
            "no metadata field madeUp",
        ),
        (
            'gate(function() photo:setPropertyForPlugin(_PLUGIN, "verdict", "great") end)',
            "does not take great",
        ),
        ('gate(function() catalog:addPhoto("/nowhere.tif") end)', "no file at"),
        (
            "LrExportSession { photosToExport = { photo }, exportSettings = { LR_tiff_bitDepth = 16 } }",
            "LR_tiff_bitDepth",
        ),
        (
            "LrExportSession { photosToExport = { photo }, exportSettings = { LR_jpeg_quality = 90 } }",
            "a fraction",
        ),
        ("LrView.osFactory():stack {}", "f:stack does not exist"),
        ("LrView.osFactory():slider { minimum = 1 }", "f:slider knows no minimum"),
        ('LrHttp.get("http://127.0.0.1:1/", 60)', "second argument is headers"),
        ('return LOC "no key"', "LOC of something that is no key"),
        ('return LOC "$$$/A=é"', "LOC takes 7-bit text"),
    ],
)
def test_what_a_live_host_refuses(world: World, code: str, words: str) -> None:
    world.add("a.nef")
    host = Host(world)
    said = attempt(host, code)
    assert words in said + "\n".join(host.failures)


@pytest.mark.parametrize(
    "code", ["LrTasks.sleep(1)", 'LrHttp.get("http://127.0.0.1:1/")', 'catalog:findPhotoByPath("/a", true)']
)
def test_what_needs_a_task(world: World, code: str) -> None:
    world.add("a.nef")
    assert "must be called from a task" in attempt(Host(world), code, in_task=False)


def test_lrtasks_pcall_may_be_yielded_through(world: World) -> None:
    world.add("a.nef")
    assert attempt(Host(world), "return (LrTasks.pcall(LrTasks.sleep, 0.1))") == "true"


def test_a_gate_that_fails_leaves_nothing(world: World) -> None:
    photo = world.add("a.nef")
    before = world.catalog.snapshot()
    code = """gate(function()
        photo:setRawMetadata("rating", 5)
        photo:addKeyword(catalog:createKeyword("k", {}, false, nil, true))
        catalog:createCollection("c", nil, true):addPhotos { photo }
        error("in the middle")
    end)"""
    assert "in the middle" in attempt(Host(world), code)
    assert {**world.catalog.snapshot(), "photos": None} == {**before, "photos": None}
    assert photo.keywords == []
    assert photo.raw.get("rating") is None


def test_a_blocked_gate_aborts_or_raises(world: World) -> None:
    world.add("a.nef")
    host = Host(world)
    host.gate_is_blocked = lambda: True
    assert attempt(host, "return gate(function() end)") == "aborted"
    assert "no timeout parameters" in attempt(host, 'catalog:withWriteAccessDo("x", function() end)')


def test_nothing_selected_means_the_whole_filmstrip(world: World) -> None:
    world.add("a.nef")
    world.add("b.nef")
    world.catalog.selected = []
    assert (
        attempt(Host(world), "return catalog:getTargetPhoto() == nil and #catalog:getTargetPhotos()") == "2"
    )


def test_a_file_loop_left_by_break_is_found(world: World) -> None:
    world.add("a.nef")
    host = Host(world)
    folder = world.root / "photos"
    attempt(host, f'for path in LrFileUtils.files("{folder}") do break end')
    with pytest.raises(AssertionError, match="left by break"):
        host.quit()


def test_preferences_of_a_killed_host_are_lost(world: World) -> None:
    world.add("a.nef")
    code = (
        'local prefs = import("LrPrefs").prefsForPlugin() prefs.a = { b = 1 } prefs.a.b = 2 return prefs.a.b'
    )
    killed, quit_ = Host(world), Host(world)
    assert attempt(killed, code) == "1"  # a nested table is kept as it was assigned
    killed.kill()
    assert "a" not in world.prefs
    attempt(quit_, code)
    quit_.quit()
    assert world.prefs["a"] == {"b": 1}


def test_windows_rules(tmp_path: Path) -> None:
    world = World(tmp_path, windows=True, home="Users/Łukasz")
    world.add("a.nef")
    host = Host(world)
    assert attempt(host, 'return import("LrPathUtils").getStandardFilePath("home")') == "C:\\Users\\Łukasz"
    assert attempt(host, 'return io.open("C:\\\\Users\\\\Łukasz\\\\x", "w")') == "nil"
    assert attempt(host, 'return io.open("C:\\\\photos\\\\con.txt", "w")') == "nil"
    assert attempt(host, 'return (LrFileUtils.exists("c:\\\\PHOTOS\\\\A.NEF"))') == "file"
    assert attempt(host, "return tostring(WIN_ENV) .. tostring(MAC_ENV)") == "truenil"
