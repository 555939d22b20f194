"""Try: what is sent is sent whole, what is shown belongs to what was asked, and nothing that was set is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Served
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
    photos[1].write_bytes(b"")
    note = photos[0].with_name("note.txt")
    note.write_text("no photo")
    drop(page, ".drop", *photos, note)
    page.wait_for_url("**/#/queue")
    told = page.locator(".sending")
    told.get_by_text("Not sent: 2").wait_for()
    lines = told.locator("li").all_inner_texts()
    assert [line.split(": ")[0] for line in lines] == ["note.txt", "cleo.tif"]
    assert "That is no photo" in lines[0]
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
    page.route("**/v1/uploads", waiting.append)

    def one_is_sent() -> None:
        while not waiting:
            page.wait_for_timeout(20)
        assert len(waiting) == 1, "photos are sent one after the other"
        waiting.pop().continue_()
        page.wait_for_timeout(100)

    page.get_by_label("Preset").select_option("old-photo")
    drop(page, ".bench", *photos)
    page.get_by_text("Sending photo 1 of 3").wait_for()
    page.get_by_label("Denoise").fill("7")
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
    page.locator(".live.live").wait_for()
    page.evaluate("setTimeout = new Proxy(setTimeout, { apply: (call, self, [go, wait]) => call(go, wait / 20) })")
    page.route("**/v1/uploads", lambda route: route.abort())
    page.route("**/v1/health", lambda route: route.abort())
    drop(page, ".drop", *photos)
    told = page.locator(".sending", has_text="The bridge does not answer")
    told.wait_for()
    page.unroute("**/v1/uploads")
    told.get_by_role("button", name="Try again").click()
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
