"""Presets keep what they hold, whatever they are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.console.conftest import Served


def test_a_preset_that_is_renamed_replaces_no_other_unasked(page: Any, served: Served) -> None:
    served.preset("Wedding", strength=11)
    served.preset("Baby", strength=99)
    page.goto(f"{served.url}/#/presets")
    page.locator(".preset-list li", has_text="Baby").get_by_role("button").click()
    page.get_by_label("Name").fill("Wedding")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("alert").get_by_text("There is a preset named “Wedding” already").wait_for()
    assert served.strengths().items() >= {"Wedding": 11, "Baby": 99}.items()
    page.get_by_label("Name").fill("Christening")
    page.get_by_role("alert").wait_for(state="detached")
    page.get_by_label("Name").fill("Wedding")
    page.get_by_role("button", name="Replace it").click()
    page.locator(".preset-list li", has_text="Baby").wait_for(state="detached")
    assert served.strengths()["Wedding"] == 99


def test_a_preset_saved_on_try_replaces_no_other_unasked(page: Any, served: Served, photo: Path) -> None:
    served.preset("Portrait", strength=12)
    page.set_input_files("input[type=file]", photo)
    page.wait_for_selector(".stage img.after")
    page.get_by_label("Strength", exact=True).fill("88")
    page.get_by_role("button", name="Save as preset").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Portrait")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_text("There is a preset named “Portrait” already").wait_for()
    assert served.strengths()["Portrait"] == 12
    dialog.get_by_role("button", name="Replace it").click()
    dialog.wait_for(state="detached")
    assert served.strengths()["Portrait"] == 88


def test_a_preset_has_the_name_it_was_given(page: Any, served: Served) -> None:
    names = ("name", "default-2", "W" * 64)
    for name in names:
        served.preset(name, strength=1)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{served.url}/#/presets")
    page.locator(".preset-list li").first.wait_for()
    shown = page.locator(".preset-list bdi").all_inner_texts()
    assert set(names) < set(shown)
    assert page.locator(".preset-list").evaluate("list => list.scrollWidth <= list.clientWidth")
