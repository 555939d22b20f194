"""Try: what is sent arrives, what is shown belongs to what was asked, nothing that was set is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from tests.console.conftest import Served, until
from tests.console.test_actions import drop


@pytest.fixture
def photos(photo: Path, tmp_path: Path) -> list[Path]:
    """The same photo under three names."""
    paths = [tmp_path / f"{name}.tif" for name in ("bea", "cleo", "dora")]
    for path in paths:
        path.write_bytes(photo.read_bytes())
    return paths


@pytest.fixture
def bench(page: Any, photo: Path) -> Any:
    """A photo with its result on the bench."""
    page.set_input_files("input[type=file]", photo)
    page.wait_for_selector(".stage img.after")
    return page


def newest(served: Served) -> Any:
    return served.ask("GET", "/v1/jobs")["jobs"][0]


def sources(served: Served) -> list[str]:
    items = served.ask("GET", f"/v1/jobs/{newest(served)['job']}/items")["items"]
    return [item["source"] for item in items]


def refusal(problem: dict[str, Any]) -> Any:
    """Answers each request with a problem."""
    body, kind = json.dumps(problem), "application/problem+json"
    return lambda route: route.fulfill(status=problem["status"], body=body, content_type=kind)


def test_a_lost_upload_is_sent_again(page: Any, served: Served, photos: list[Path]) -> None:
    asked: list[str] = []

    def second_lost(route: Any) -> None:
        asked.append(route.request.url)
        if len(asked) == 2:
            route.abort()
        else:
            route.continue_()

    page.route("**/v1/uploads", second_lost)
    drop(page, ".drop", *photos)
    page.wait_for_url("**/#/queue")
    assert len(asked) == 4
    assert sources(served) == ["bea.tif", "cleo.tif", "dora.tif"]


def test_a_photo_that_is_refused_is_left_out_by_name(page: Any, served: Served, photos: list[Path]) -> None:
    problem = {"code": "body_too_large", "title": "The body is too large", "status": 413}
    refuse = refusal(problem)

    def cleo_refused(route: Any) -> None:
        if route.request.headers["gpen-file-name"] == "cleo.tif":
            refuse(route)
        else:
            route.continue_()

    page.route("**/v1/uploads", cleo_refused)

    note = photos[0].with_name("note.txt")
    note.write_text("no photo")
    drop(page, ".drop", *photos, note)
    page.wait_for_url("**/#/queue")
    told = page.locator(".sending")
    told.get_by_text("Not sent: 2").wait_for()
    lines = told.locator("li").all_inner_texts()
    assert [line.split(": ")[0] for line in lines] == ["note.txt", "cleo.tif"]
    assert [line.split(": ")[1] for line in lines] == ["That is no photo", "The body is too large"]
    assert sources(served) == ["bea.tif", "dora.tif"]
    told.get_by_role("button", name="Close").click()
    told.wait_for(state="detached")


def test_what_is_no_photo_beside_one_is_said(page: Any, photo: Path, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("no photo")
    drop(page, ".drop", photo, note)
    page.locator(".said.bad", has_text="note.txt").wait_for()
    page.wait_for_selector(".stage img.after")


def test_batches_are_seen_on_every_page_and_take_nobody_away(
    bench: Any, served: Served, photo: Path, photos: list[Path]
) -> None:
    page = bench
    waiting: list[Any] = []
    page.route("**/v1/uploads", lambda route: waiting.append(route))

    def one_is_sent() -> None:
        until(page, lambda: bool(waiting))
        assert len(waiting) == 1, "photos are sent one after the other"
        waiting.pop().continue_()
        page.wait_for_timeout(100)

    page.get_by_label("Preset").select_option("old-photo")
    drop(page, ".bench", *photos)
    page.get_by_text("Sending photo 1 of 3").wait_for()
    page.get_by_role("slider", name="Denoise").fill("7")
    drop(page, ".bench", photo, photos[0])
    page.get_by_text("2 photos wait to be sent").wait_for()
    page.evaluate("location.hash = '#/presets'")
    page.get_by_role("button", name="New preset").click()
    one_is_sent()
    page.get_by_text("Sending photo 2 of 3").wait_for()
    one_is_sent()
    one_is_sent()
    page.get_by_text("Sent 3 photos").wait_for()
    first = newest(served)
    assert first["preset"] == "old-photo"
    one_is_sent()
    one_is_sent()
    page.get_by_text("Sent 2 photos").wait_for()
    assert newest(served)["preset"] == "old-photo"
    assert newest(served)["parameters"]["denoise"] == 7
    assert page.get_by_label("Name").input_value() == "My preset"
    assert page.locator(".sending").count() == 0


def test_a_batch_waits_for_a_bridge_that_is_away(page: Any, served: Served, photos: list[Path]) -> None:
    page.locator(".live:not(.lost, .connecting)").wait_for()
    page.evaluate("() => { const own = setTimeout; setTimeout = (go, wait) => own(go, wait / 20); }")
    page.route("**/v1/uploads", lambda route: route.abort())
    page.route("**/v1/health", lambda route: route.abort())
    drop(page, ".drop", *photos)
    told = page.locator(".sending", has_text="The bridge does not answer")
    told.wait_for()
    page.unroute("**/v1/uploads")
    told.get_by_role("button", name="Try again").click()
    page.wait_for_url("**/#/queue")
    assert sources(served) == ["bea.tif", "cleo.tif", "dora.tif"]


def test_a_batch_goes_on_by_itself_when_the_bridge_is_back(
    page: Any, served: Served, photos: list[Path]
) -> None:
    page.locator(".live:not(.lost, .connecting)").wait_for()
    port = int(served.url.rsplit(":", 1)[1])
    served.stop()
    page.locator(".live.lost").wait_for()
    page.evaluate("() => { const own = setTimeout; setTimeout = (go, wait) => own(go, wait / 20); }")
    drop(page, ".drop", *photos)
    page.locator(".sending", has_text="The bridge does not answer").wait_for()
    served.start(port)
    page.wait_for_url("**/#/queue")
    assert sources(served) == ["bea.tif", "cleo.tif", "dora.tif"]


def test_a_file_that_falls_beside_its_place_is_not_opened(page: Any) -> None:
    page.locator(".bar").wait_for()
    assert page.evaluate("""() => ["dragover", "drop"].every((kind) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["x"], "anna.jpg"));
      return !document.querySelector(".bar").dispatchEvent(
        new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
    })""")


def test_download_belongs_to_what_is_set(bench: Any) -> None:
    page = bench
    download = page.get_by_role("button", name="Download")
    done = page.get_by_text("1 of 1 faces restored")
    done.wait_for()
    assert download.is_enabled()
    page.evaluate("() => { setTimeout = () => 0; }")  # nothing is asked any more
    page.get_by_role("slider", name="Strength", exact=True).fill("5")
    page.wait_for_function("document.querySelector('.slider output').textContent === '5'")
    assert download.is_disabled()
    assert done.count() == 0


def test_after_a_failure_there_is_no_older_result(bench: Any) -> None:
    page = bench
    page.get_by_text("1 of 1 faces restored").wait_for()
    problem = {"code": "engine_failed", "title": "It failed", "status": 500}
    page.route("**/v1/enhance", refusal(problem))
    page.get_by_role("slider", name="Strength", exact=True).fill("95")
    notice = page.locator(".panel .notice", has_text="It failed")
    notice.wait_for()
    assert page.get_by_role("button", name="Download").is_disabled()
    assert page.locator("img.after").count() == 0
    assert page.get_by_text("faces restored in").count() == 0
    page.unroute("**/v1/enhance")
    notice.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".stage img.after")
    notice.wait_for(state="detached")


def test_presets_that_do_not_come_are_said_and_asked_again(page: Any, photo: Path) -> None:
    problem = {"code": "store_unavailable", "title": "The store is away", "status": 503}
    page.route("**/v1/presets", refusal(problem))
    page.set_input_files("input[type=file]", photo)
    notice = page.locator(".panel .notice", has_text="The store is away")
    notice.wait_for()
    page.unroute("**/v1/presets")
    notice.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".stage img.after")
    notice.wait_for(state="detached")


def test_shortcuts_of_the_browser_stay_its_own(bench: Any) -> None:
    taken = bench.evaluate("""() => {
      const taken = (selector, event) => !document.querySelector(selector).dispatchEvent(event);
      const all = { bubbles: true, cancelable: true };
      const key = (key, more) => new KeyboardEvent("keydown", { key, ...all, ...more });
      const wheel = (more) => new WheelEvent("wheel", { deltaY: 1, ...all, ...more });
      return {
        browser: [
          ...["=", "-", "0"].map((sign) => taken(".stage", key(sign, { ctrlKey: true }))),
          ...["=", "-", "0"].map((sign) => taken(".stage", key(sign, { metaKey: true }))),
          taken(".stage", key("ArrowLeft", { altKey: true })),
          taken(".divider", key("ArrowLeft", { altKey: true })),
          taken(".stage", wheel({ ctrlKey: true })),
        ],
        ours: [taken(".stage", key("=")), taken(".divider", key("ArrowLeft")), taken(".stage", wheel())],
      };
    }""")
    assert not any(taken["browser"])
    assert all(taken["ours"])


def test_the_focus_is_where_it_was_before_a_dialog(bench: Any) -> None:
    page = bench
    opener = page.get_by_role("button", name="Save as preset")
    opener.press("Enter")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Focused")
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")
    assert opener.evaluate("button => button === document.activeElement")


def test_another_language_keeps_what_was_set(bench: Any, served: Served) -> None:
    page = bench
    page.get_by_role("slider", name="Strength", exact=True).fill("33")
    page.get_by_role("button", name="中文").click()
    page.get_by_role("button", name="另存为预设").wait_for()
    assert page.locator(".file").inner_text() == "anna.tif"
    assert page.get_by_label("强度", exact=True).input_value() == "33"
    page.goto(f"{served.url}/#/presets")
    page.get_by_role("button", name="新建预设").click()
    page.get_by_label("名称").fill("Mine")
    page.get_by_role("button", name="English").click()
    page.get_by_role("button", name="Discard").wait_for()
    assert page.get_by_label("Name").input_value() == "Mine"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_turned_photo_lies_like_its_result(page: Any, tmp_path: Path, kind: str) -> None:
    turned = Pillow.Exif()
    turned[0x112] = 6  # a quarter turn
    path = tmp_path / f"turned.{kind.lower()}"
    Pillow.new("RGB", (300, 200), "white").save(path, kind, exif=turned.tobytes())
    page.set_input_files("input[type=file]", path)
    page.wait_for_selector(".stage img.after")
    assert both(page) == [[200, 300], [200, 300]]


def test_a_tiff_without_a_media_type_is_shown(page: Any, photo: Path) -> None:
    drop(page, ".drop", photo)
    page.wait_for_selector(".stage img.after")
    assert both(page) == [[320, 240], [320, 240]]


def both(page: Any) -> Any:
    """The sizes of before and after, as the browser decoded them."""
    return page.evaluate("""async () => {
      const images = [...document.querySelectorAll(".stage img")];
      await Promise.all(images.map((image) => image.decode()));
      return images.map((image) => [image.naturalWidth, image.naturalHeight]);
    }""")
