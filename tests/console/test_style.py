"""What the style sheets promise: dialogs that fit, rings that are seen, no flicker, words that are heard."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Served

LONG = "Wedding_of_the_family_von_und_zu_Guttenberg_bride_and_groom_before_the_church_" * 2


def inside(page: Any, outer: str, inner: str) -> bool:
    """Whether no part of `inner` hangs over `outer`, from left to right."""
    boxes = [page.locator(selector).first.bounding_box() for selector in (outer, inner)]
    (left, width), (start, size) = ((box["x"], box["width"]) for box in boxes)
    return bool(left - 1 <= start and start + size <= left + width + 1)


@pytest.mark.parametrize("width", [1280, 390])
def test_long_names_push_nothing_out(page: Any, served: Served, photo: Path, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    upload = served.ask("POST", "/v1/uploads", photo.read_bytes(), file=f"{LONG}.tif")["upload"]
    items = [{"ref": "1", "source": {"upload": upload}}]
    job = served.ask("POST", "/v1/jobs", {"client": "test", "name": LONG, "items": items})["job"]
    served.finished(job)
    page.goto(f"{served.url}/#/review")
    page.locator(".pair-view", has_text="Guttenberg").wait_for()
    assert inside(page, ".pair-view", ".pair-view h2")
    page.keyboard.press("r")
    dialog = page.get_by_role("dialog")
    dialog.wait_for()
    assert dialog.bounding_box()["width"] <= min(480, width)
    for part in ("dialog header .button", "dialog .slider", "dialog .choice"):
        assert inside(page, "dialog", part), part
    page.keyboard.press("Escape")
    page.goto(f"{served.url}/#/system")
    page.get_by_role("button", name="Import a file").click()
    dialog.wait_for()
    assert dialog.bounding_box()["width"] <= min(480, width)


def test_names_keep_their_direction_to_themselves(page: Any, served: Served, photo: Path) -> None:
    items = [
        {"ref": "1", "source": {"upload": served.ask("POST", "/v1/uploads", photo.read_bytes())["upload"]}}
    ]
    backwards = "\u202ebackwards"
    job = served.ask("POST", "/v1/jobs", {"client": "test", "name": backwards, "items": items})["job"]
    served.finished(job)
    code = served.ask("POST", "/v1/pair/code")["code"]
    served.ask("POST", "/v1/pair", {"code": code, "client": "lightroom", "name": backwards})
    page.goto(f"{served.url}/#/review")
    page.locator(".pair-view bdi", has_text="backwards").wait_for()
    page.goto(f"{served.url}/#/system")
    page.locator(".lines bdi", has_text="backwards").wait_for()


def test_nothing_flickers_for_who_wants_less_motion(page: Any) -> None:
    page.emulate_media(reduced_motion="reduce")
    name = "getComputedStyle(document.querySelector('main > .probe')).animationName"
    for kind in ("spinner", "thumb coming"):
        page.evaluate(
            "kind => document.querySelector('main').replaceChildren("
            "Object.assign(document.createElement('i'), { className: `probe ${kind}` }))",
            kind,
        )
        assert page.evaluate(name) == "none"
        page.emulate_media(reduced_motion="no-preference")
        assert page.evaluate(name) != "none"
        page.emulate_media(reduced_motion="reduce")


@pytest.mark.parametrize("width", [1180, 390])
def test_a_lost_connection_is_said_in_words(page: Any, served: Served, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    status = page.locator(".bar").get_by_role("status")
    status.get_by_text("Live").wait_for(state="attached")
    assert status.locator("span").bounding_box()["width"] <= 1
    assert status.locator("span").evaluate("span => getComputedStyle(span).display") != "none"  # it is spoken
    port = int(served.url.rsplit(":", 1)[1])
    served.stop()
    status.get_by_text("Reconnecting").wait_for()
    assert status.locator("span").bounding_box()["width"] > 40
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert inside(page, ".bar", ".bar-end")
    served.start(port)
    status.get_by_text("Live").wait_for(state="attached")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_ring_of_focus_is_seen_on_the_stage(page: Any, photo: Path, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    page.set_input_files("input[type=file]", photo)
    page.wait_for_selector(".stage img.after")
    for part in (".stage", ".stage .divider", ".stage .outline"):
        page.keyboard.press("Tab")  # from now on focus is shown
        page.locator(part).first.focus()
        ring, ground = page.locator(part).first.evaluate(
            "part => [getComputedStyle(part).outlineColor,"
            " getComputedStyle(part.closest('.stage')).backgroundColor]"
        )
        assert contrast(ring, ground) >= 3, part


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    dark, light = sorted(luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
