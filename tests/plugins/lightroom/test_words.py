"""What people read: both languages whole, every code with words, and Lua that its linter likes."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from bridge.errors import codes
from tests.plugins.lightroom.conftest import RunningBridge
from tests.plugins.lightroom.host import Host
from tests.plugins.lightroom.world import PLUGIN, ROOT, World

_LOC = re.compile(r'"(\$\$\$/[\w/]+)=((?:[^"\\]|\\.)*)"')
OUR_OWN = {
    "bridge_foreign",
    "bridge_missing",
    "bridge_start",
    "catalog_busy",
    "import_failed",
    "not_paired",
    "render_empty",
    "render_failed",
    "render_skipped",
    "result_lost",
    "source_gone",
    "timed_out",
    "trash_failed",
}


def english() -> dict[str, str]:
    found: dict[str, str] = {}
    for path in sorted(PLUGIN.glob("*.lua")):
        for key, words in _LOC.findall(path.read_text("utf-8")):
            assert found.setdefault(key, words) == words, f"{key} says two things"
    return found


def chinese() -> dict[str, str]:
    lines = (PLUGIN / "TranslatedStrings_zh_cn.txt").read_text("utf-8").splitlines()
    assert all(re.fullmatch(r'"\$\$\$/[\w/]+=.+"', line) for line in lines)
    pairs = [line.strip('"').split("=", 1) for line in lines]
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def test_chinese_has_every_key_and_no_other() -> None:
    assert set(chinese()) == set(english())


def test_every_translation_has_the_same_places_to_fill_in() -> None:
    other = chinese()
    for key, words in english().items():
        assert sorted(re.findall(r"\^\d", words)) == sorted(re.findall(r"\^\d", other[key])), key


def test_every_sentence_goes_through_loc() -> None:
    """What people read is a key, not bare text: titles, tooltips, captions."""
    for path in PLUGIN.glob("*.lua"):
        for title in re.findall(
            r'\b(?:title|tooltip|placeholder_string|caption)\s*=\s*"([^"]*)"', path.read_text("utf-8")
        ):
            assert re.fullmatch(r"[A-Za-z]*(?: RGB(?: \(1998\))?| P3)?|LR_\w+|JPEG", title), (
                path.name,
                title,
            )


def test_the_codes_are_the_bridges_or_our_own(host: Host) -> None:
    known = set(host.from_lua(host.require("Messages")[b"codes"]()))
    assert known >= OUR_OWN
    assert known - OUR_OWN <= set(codes())


def test_an_unknown_code_speaks_with_the_bridges_words(host: Host) -> None:
    full = host.require("Messages")[b"full"]
    assert full(host.to_lua({"code": "brand_new", "title": "Something new", "detail": "It is new."})) == (
        b"Something new It is new."
    )


def test_a_chinese_host_speaks_chinese(world: World, bridge: RunningBridge) -> None:
    world.language = "zh_cn"
    host = Host(world)
    world.add("a.nef")
    world.add("b.nef")
    host.plans["UUID-0002"] = (0.1, "x")
    host.answers = [("已增强一张照片。 1 张失败。", "cancel")]
    host.menu("EnhanceAgain")
    assert not host.failures, "\n".join(host.failures)
    assert "b.nef: Lightroom 无法渲染这张照片。" in host.confirmations[0].info
    assert list(world.catalog.snapshot()["collections"]) == ["GPEN 已增强"]


def test_luacheck_has_nothing_to_say() -> None:
    linter = shutil.which("luacheck")
    if linter is None:
        pytest.skip("luacheck is not installed: apt-get install lua-check")
    done = subprocess.run(  # noqa: S603 - a linter on our own files
        [linter, "-q", "plugins/lightroom", "tests/plugins/lightroom/sdk"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
