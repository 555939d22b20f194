"""What people do with files and fingers: dropped, dragged, pinched, imported, tried again."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints.house import pth
from tests.console.conftest import ROOT, Served, until

DROP = """([selector, files]) => {
  const carried = new DataTransfer();
  for (const [name, text] of files)
    carried.items.add(new File([Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))], name));
  document.querySelector(selector).dispatchEvent(
    new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: carried }));
}"""


def drop(page: Any, selector: str, *paths: Path) -> None:
    """Let files fall onto the page, as a file manager would."""
    files = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
    page.evaluate(DROP, [selector, files])


def zoom(page: Any) -> int:
    return int(page.locator(".zoom-now").inner_text().rstrip(" %"))


def place(page: Any) -> str:
    return str(page.locator(".stage img").first.evaluate("image => image.style.transform"))


def moved(page: Any, before: str) -> None:
    """Wait until the photo lies elsewhere: what an input does is drawn a moment after it."""
    page.wait_for_function(
        "before => document.querySelector('.stage img').style.transform !== before", arg=before
    )


def shows(page: Any, percent: int) -> None:
    """Wait until the photo is shown at that size."""
    page.wait_for_function(
        "now => parseInt(document.querySelector('.zoom-now').textContent) === now", arg=percent
    )


@pytest.fixture
def table(page: Any, photo: Path) -> Any:
    """A page with a photo and its result on the light table."""
    page.set_input_files("input[type=file]", photo)
    page.wait_for_selector(".stage img.after")
    return page


def test_a_photo_waits_for_a_bridge_that_is_still_starting(page: Any, photo: Path) -> None:
    problem = {"code": "not_ready", "title": "The bridge is still starting", "status": 503}
    refused: list[Any] = []

    def starting(route: Any) -> None:
        if len(refused) >= 2:
            return route.continue_()
        refused.append(route)
        return route.fulfill(status=503, body=json.dumps(problem), content_type="application/problem+json")

    page.route("**/v1/faces", starting)
    page.set_input_files("input[type=file]", photo)
    page.locator(".notice", has_text="still starting").wait_for()
    page.wait_for_selector(".stage img.after")
    assert len(refused) == 2


def test_several_dropped_photos_become_a_batch(
    page: Any, served: Served, photo: Path, tmp_path: Path
) -> None:
    other = tmp_path / "bea.tif"
    other.write_bytes(photo.read_bytes())
    note = tmp_path / "note.txt"
    note.write_text("no photo")
    drop(page, ".drop", photo, other, note)
    page.wait_for_url("**/#/queue")
    page.get_by_text("2 of 2").first.wait_for()
    until(page, lambda: page.locator(".list-row strong").all_inner_texts() == ["anna.tif", "bea.tif"])
    with page.expect_download() as download:
        page.locator(".list-row").first.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename.startswith("anna-GPEN")
    assert Path(download.value.path()).stat().st_size > 1000


def test_a_file_that_is_no_photo_is_said(page: Any, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("no photo")
    drop(page, ".drop", note)
    assert page.locator(".said.bad").inner_text()
    assert page.locator(".drop").is_visible()


def test_a_failed_photo_says_why_and_is_tried_again(page: Any, served: Served) -> None:
    job = served.batch(b"this is no photo", "Damaged")
    served.finished(job)
    page.goto(f"{served.url}/#/queue")
    page.locator(".job", has_text="Damaged").click()
    row = page.locator(".list-row")
    assert "not supported" in row.locator("small.bad").inner_text()
    with page.expect_response(lambda reply: reply.url.endswith("/items/0/retry")) as answered:
        row.get_by_role("button", name="Try again").click()
    assert answered.value.json()["state"] in ("queued", "leased", "failed")
    served.finished(job)
    with page.expect_response(lambda reply: reply.url.endswith(f"{job}/retry")) as answered:
        page.locator(".batch header").get_by_role("button").first.click()
    assert answered.value.ok
    served.finished(job)


def test_wheel_drag_and_keys_move_the_photo(table: Any) -> None:
    box = table.locator(".stage").bounding_box()
    x, y = box["x"] + box["width"] / 3, box["y"] + box["height"] / 3
    fitted = zoom(table)
    table.mouse.move(x, y)
    table.mouse.wheel(0, -600)
    table.wait_for_function(f"parseInt(document.querySelector('.zoom-now').textContent) > {fitted}")
    before = place(table)
    table.mouse.down()
    table.mouse.move(x + 40, y + 25, steps=4)
    table.mouse.up()
    moved(table, before)
    table.locator(".stage").press("0")
    shows(table, fitted)
    table.locator(".stage").press("1")
    shows(table, 100)
    before = place(table)
    table.locator(".stage").press("ArrowLeft")
    moved(table, before)


def test_two_fingers_zoom(table: Any) -> None:
    box = table.locator(".stage").bounding_box()
    x, y = box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25
    fitted = zoom(table)
    touch = table.context.new_cdp_session(table)

    def fingers(kind: str, span: float) -> None:
        points = [{"x": x, "y": y, "id": 1}, {"x": x + span, "y": y, "id": 2}] if span else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 60)
    for span in (80, 100, 120):
        fingers("touchMove", span)
    fingers("touchEnd", 0)
    table.wait_for_function(
        "least => parseInt(document.querySelector('.zoom-now').textContent) > least", arg=fitted * 1.5
    )
    assert fitted * 1.5 < zoom(table) < fitted * 2.5


def test_a_face_is_jumped_to(table: Any) -> None:
    before = place(table)
    table.get_by_role("button", name="Zoom to face 1").click()
    table.locator(".outline.chosen").wait_for()
    moved(table, before)
    face, stage = (table.locator(at).bounding_box() for at in (".outline.chosen", ".stage"))
    for start, size in (("x", "width"), ("y", "height")):
        assert abs(face[start] + face[size] / 2 - stage[start] - stage[size] / 2) < 3


def test_a_preset_file_is_taken_but_for_what_it_may_not_change(
    page: Any, served: Served, tmp_path: Path
) -> None:
    parameters = {"strength": 40, "denoise": 10, "sharpen": 20, "mode": "detail"}
    names = ("Brought 1", "default", "a/b", "Brought 2")
    file = tmp_path / "presets.json"
    file.write_text(json.dumps({"presets": [{"name": name, "parameters": parameters} for name in names]}))
    page.goto(f"{served.url}/#/presets")
    page.locator(".preset-list").wait_for()
    page.set_input_files(".preset-list input[type=file]", file)
    told = page.locator(".preset-list .notice")
    told.get_by_text("Imported: 2.").wait_for()
    assert [line.split(" was skipped: ")[0] for line in told.locator("li").all_inner_texts()] == [
        "default",
        "a/b",
    ]
    assert "Built-in presets cannot be changed" in told.locator("li").first.inner_text()
    kept = {one["name"]: one for one in served.ask("GET", "/v1/presets")["presets"]}
    assert kept["Brought 2"]["parameters"]["strength"] == 40
    assert kept["default"]["parameters"]["strength"] != 40
    file.write_text("[]")
    page.set_input_files(".preset-list input[type=file]", file)
    page.locator(".said.bad", has_text="This file holds no presets").wait_for()


def test_weights_are_sent_checked_and_agreed_to(page: Any, served: Served, tmp_path: Path) -> None:
    page.goto(f"{served.url}/#/system")
    page.get_by_role("button", name="Import a file").click()
    dialog = page.get_by_role("dialog")
    junk = tmp_path / "holiday.pth"
    junk.write_bytes(b"no checkpoint")
    drop(page, "dialog .drop", junk)
    dialog.get_by_text("holiday.pth is not a checkpoint").wait_for()
    dialog.locator("input[type=file]").set_input_files(pth(tmp_path / "studio.pth"))
    dialog.get_by_text("You brought this file yourself").wait_for()
    go = dialog.get_by_role("button", name="Import", exact=True)
    assert go.is_disabled()
    dialog.get_by_role("checkbox").check()
    go.click()
    dialog.wait_for(state="detached")
    page.locator(".lines li", has_text="studio (your own)").get_by_text("installed").wait_for()


def test_a_lost_connection_sends_no_piece_twice(page: Any, served: Served, tmp_path: Path) -> None:
    piece = 8 * 1024**2
    offsets: list[int] = []

    def sent(route: Any) -> None:
        if route.request.method != "PATCH":
            return route.continue_()
        offsets.append(int(route.request.headers["upload-offset"]))
        return route.abort() if len(offsets) == 2 else route.continue_()

    page.route("**/v1/uploads/*", sent)
    page.goto(f"{served.url}/#/system")
    page.get_by_role("button", name="Import a file").click()
    large = tmp_path / "holiday.pth"
    large.write_bytes(bytes(2 * piece + 1))
    page.get_by_role("dialog").locator("input[type=file]").set_input_files(large)
    page.get_by_role("dialog").get_by_text("holiday.pth is not a checkpoint").wait_for()
    assert offsets == [0, piece, piece, 2 * piece]


def test_a_revoked_browser_is_told_and_loses_nothing(browser: Any, served: Served, photo: Path) -> None:
    def code() -> str:
        return str(served.ask("POST", "/v1/pair/code?for=owner")["code"])

    known = {one["client_id"] for one in served.ask("GET", "/v1/clients")["clients"]}
    page = browser.new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{served.url}/#code={code()}")
    page.get_by_role("button", name="Try a photo").click()
    page.set_input_files("input[type=file]", photo)
    page.wait_for_selector(".stage img.after")
    (own,) = {one["client_id"] for one in served.ask("GET", "/v1/clients")["clients"]} - known
    served.ask("DELETE", f"/v1/clients/{own}")
    page.get_by_label("Strength of face 1").fill("10")
    assert "access was revoked" in page.get_by_role("alert").inner_text()
    assert page.locator(".bench").is_hidden()
    page.get_by_label("One-time code").fill(code())
    page.get_by_role("button", name="Sign in").click()
    page.locator(".bench").wait_for()
    assert page.locator(".file").inner_text() == "anna.tif"
    assert page.locator(".faces output").inner_text() == "10"
    page.locator(".notice.bad").wait_for(state="detached")
    page.get_by_text("1 of 1 faces restored").wait_for()
    page.context.close()


def test_serve_opens_the_console_signed_in(browser: Any, tmp_path: Path) -> None:
    told = tmp_path / "opened.txt"
    fake = tmp_path / "browser.py"
    fake.write_text(f"import sys; open({str(told)!r}, 'a').write(sys.argv[1] + '\\n')")
    command = [sys.executable, "-m", "bridge", "serve", "--open", "--port", "0", "--device", "cpu"]
    chosen = {"GPEN_HOME": str(tmp_path / "home"), "BROWSER": f"{sys.executable} {fake} %s"}

    def opened(count: int) -> str:
        deadline = time.monotonic() + 60
        while not told.exists() or len(told.read_text().split()) < count:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return told.read_text().split()[-1]

    running = subprocess.Popen(  # noqa: S603 - our own module, by its own interpreter
        command, cwd=ROOT, env={**os.environ, **chosen}, stdout=subprocess.DEVNULL
    )
    try:
        page = browser.new_page()
        page.goto(opened(1))
        page.locator(".guide li.done").first.wait_for()
        assert "code" not in page.url
        assert page.evaluate("JSON.parse(localStorage.getItem('gpen.session')).standing") == "owner"
        page.context.close()
        again = subprocess.run(  # noqa: S603 - as above
            command, cwd=ROOT, env={**os.environ, **chosen}, capture_output=True, text=True
        )
        assert again.returncode == 1
        page = browser.new_page()
        page.goto(opened(2))
        page.locator(".guide li.done").first.wait_for()
        page.context.close()
    finally:
        running.terminate()
        running.wait(60)
