"""The console in a real browser, page by page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Served

PAGES = ("try", "queue", "review", "presets", "system", "guide")


def test_a_wrong_code_is_refused_and_said(browser: Any, served: Served) -> None:
    page = browser.new_page()
    page.goto(served.url)
    page.get_by_label("One-time code").fill("AAAA-AAAA")
    page.get_by_role("button", name="Sign in").click()
    assert "wrong or has expired" in page.get_by_role("alert").inner_text()
    page.close()


def test_a_tiff_is_tried_compared_and_downloaded(page: Any, served: Served, photo: Path) -> None:
    page.set_input_files("input[type=file]", photo)
    page.wait_for_selector(".stage img.after")
    assert page.locator(".outline").count() == 1
    assert page.locator(".stage img").first.evaluate("image => image.naturalWidth") == 320
    page.get_by_role("button", name="200 %").click()
    assert page.locator(".zoom-now").inner_text() == "200 %"
    before = page.locator(".stage img.after").evaluate("image => image.style.clipPath")
    page.get_by_role("slider", name="Divider").press("ArrowLeft")
    assert page.locator(".stage img.after").evaluate("image => image.style.clipPath") != before
    with page.expect_response(lambda reply: reply.url.endswith("/v1/enhance")) as answered:
        page.get_by_label("Strength of face 1").fill("10")
    assert answered.value.ok
    assert page.locator(".faces output").inner_text() == "10"
    page.get_by_text("1 of 1 faces restored").wait_for()
    page.get_by_label("Restore face 1").uncheck()
    page.get_by_text("0 of 1 faces restored").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "anna-GPEN.tif"
    page.get_by_role("button", name="Save as preset").click()
    page.get_by_role("textbox", name="Name").fill("Mine")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector("dialog", state="detached")
    page.locator(".panel option", has_text="Mine").wait_for(state="attached")
    assert "Mine" in {preset["name"] for preset in served.ask("GET", "/v1/presets")["presets"]}


def test_a_batch_is_shown_live_and_reviewed_by_keys(page: Any, served: Served, photo: Path) -> None:
    page.goto(f"{served.url}/#/queue")
    job = served.batch(photo.read_bytes(), "Wedding", 3)
    page.get_by_text("Wedding").first.wait_for()
    served.finished(job)
    page.get_by_text("3 of 3").wait_for()
    page.locator(".list-row img.thumb").first.wait_for()
    page.goto(f"{served.url}/#/review")
    page.locator(".pair img").nth(1).wait_for()
    for key, verdict in (("a", "accepted"), ("x", "rejected")):
        with page.expect_response(lambda reply: reply.url.endswith("/review")) as answered:
            page.keyboard.press(key)
        assert answered.value.json()["item"]["review"]["verdict"] == verdict
        page.wait_for_timeout(100)
    page.keyboard.press("r")
    page.get_by_role("dialog").get_by_role("button", name="Send again").click()
    page.locator(".bars").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert "accepted" in Path(download.value.path()).read_text()


def test_ten_thousand_items_are_a_short_list(page: Any, served: Served, photo: Path) -> None:
    job = served.batch(photo.read_bytes(), "Archive", 10_000)
    page.goto(f"{served.url}/#/queue")
    page.get_by_role("button", name=re.compile("Archive")).click()
    page.locator(".list-row strong").first.wait_for()
    assert page.locator(".list-row").count() < 60
    page.locator(".list").evaluate("list => list.scrollTo(0, list.scrollHeight)")
    page.locator('[aria-posinset="10000"] strong').wait_for()
    assert page.locator(".list-row").count() < 60
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Resume").wait_for()
    page.locator(".batch header").get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the batch").click()
    page.locator(".job[aria-pressed=true] .state.cancelled").wait_for()
    assert served.ask("GET", f"/v1/jobs/{job}")["counts"]["cancelled"] > 9000


def test_presets_are_made_renamed_and_deleted(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/#/presets")
    page.wait_for_selector(".sample img.after")
    page.get_by_role("button", name="Duplicate").click()
    page.get_by_label("Name").fill("Studio")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name=re.compile("Studio")).wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    kept = json.loads(Path(download.value.path()).read_text())
    assert "Studio" in {preset["name"] for preset in kept["presets"]}
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name=re.compile("Studio")).wait_for(state="detached")


def test_a_sample_that_was_not_fetched_is_fetched_again(page: Any, served: Served) -> None:
    fetched: list[str] = []

    def once_lost(route: Any) -> None:
        if route.request.resource_type == "fetch":
            fetched.append(route.request.url)
            if len(fetched) == 1:
                return route.abort()
        return route.continue_()

    page.route("**/sample.jpg", once_lost)
    page.goto(f"{served.url}/#/presets")
    page.locator(".said.bad").wait_for()
    assert not page.locator(".sample img.after").count()
    page.get_by_role("button", name=re.compile("Strong")).first.click()
    page.wait_for_selector(".sample img.after")
    assert len(fetched) == 2


def test_an_address_that_changes_before_anything_is_drawn_is_followed(page: Any, served: Served) -> None:
    page.add_init_script("""
        requestAnimationFrame = () => 0;
        document.addEventListener("DOMContentLoaded", () => { location.hash = "#/presets"; });
    """)
    page.goto(f"{served.url}/?anew")
    page.locator(".preset-list").wait_for()


def test_an_address_that_names_no_page_leads_to_one(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/?anew#/constructor")
    page.locator(".drop").wait_for()


def test_a_browser_without_sockets_still_shows_its_pages(page: Any, served: Served) -> None:
    page.add_init_script(
        "WebSocket = class { constructor() { throw new DOMException('no', 'SecurityError'); } };"
    )
    page.goto(f"{served.url}/?anew#/queue")
    page.locator(".live.lost").wait_for()
    page.locator("main.queue > *").first.wait_for()


def test_system_pairs_and_revokes(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/#/system")
    page.get_by_text("The bridge is ready").wait_for()
    page.get_by_role("button", name="Show a pairing code").click()
    code = page.locator(".pair-code output").inner_text()
    served.ask("POST", "/v1/pair", {"code": code, "client": "lightroom", "name": "Studio Mac"})
    page.reload()
    row = page.get_by_role("listitem").filter(has_text="Studio Mac")
    row.get_by_role("button", name="Revoke").click()
    row.wait_for(state="detached")
    with page.expect_download():
        page.get_by_role("button", name="Download log").click()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_accessible_and_fits(
    page: Any, served: Served, theme: str, width: int, language: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=theme)
    page.evaluate(f"localStorage.setItem('gpen.language', '{language}')")
    page.reload()
    page.locator(f"html[lang|={language}]").wait_for()
    for name in PAGES:
        page.goto(f"{served.url}/#/{name}")
        page.wait_for_timeout(400)
        found = axe.run(page).response["violations"]
        grave = [
            (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert not grave, name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_it_speaks_chinese(page: Any, served: Served) -> None:
    page.get_by_role("button", name="中文").click()
    for name, word in (("queue", "队列"), ("presets", "强度"), ("system", "模型权重")):
        page.goto(f"{served.url}/#/{name}")
        page.get_by_text(word).first.wait_for()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


def test_it_is_light(page: Any) -> None:
    page.wait_for_selector(".drop")
    weight = page.evaluate(
        "performance.getEntriesByType('resource').filter(one => one.name.includes('/console/'))"
        ".reduce((sum, one) => sum + one.decodedBodySize, 0)"
    )
    assert 50_000 < weight < 250_000


@pytest.mark.parametrize("name", PAGES)
def test_a_page_outlives_a_restart_and_misses_nothing(
    page: Any, served: Served, photo: Path, name: str
) -> None:
    page.goto(f"{served.url}/#/{name}")
    page.locator(".live:not(.lost, .connecting)").wait_for()
    page.locator(f"main.{name} > *").first.wait_for()
    port = int(served.url.rsplit(":", 1)[1])
    served.stop()
    page.locator(".live.lost").wait_for()
    served.start(port)
    job = served.batch(photo.read_bytes(), f"After {name}")
    page.locator(".live:not(.lost, .connecting)").wait_for()
    served.finished(job)
    page.locator(f"main.{name} .notice.bad").first.wait_for(state="detached")  # a page may have several
    page.goto(f"{served.url}/#/queue")
    page.get_by_text(f"After {name}").first.wait_for()
    page.get_by_text("1 of 1").first.wait_for()
