"""The queue: lists that stay true and whole while everything moves, and buttons that do what they seem to."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Served, until

NUMBERS = itertools.count()
NAMES = "[...document.querySelectorAll('.list-row')].map(row => row.querySelector('strong')?.innerText ?? '')"
PROBLEM = {"code": "store_unavailable", "title": "The store cannot be read", "detail": "", "hint": ""}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bridge = Served(tmp_path_factory.mktemp("home"), seconds=0.7)
    bridge.start()
    yield bridge
    bridge.stop()


def batch(served: Served, photo: Path, name: str, count: int, paused: bool = False) -> str:
    """A job of photos with names of their own: NAME 0.tif, NAME 1.tif, ..."""
    body = photo.read_bytes()
    uploads = [
        served.ask("POST", "/v1/uploads", body, f"{name} {number}.tif")["upload"] for number in range(count)
    ]
    items = [{"ref": str(number), "source": {"upload": upload}} for number, upload in enumerate(uploads)]
    job = str(served.ask("POST", "/v1/jobs", {"client": "test", "name": name, "items": items})["job"])
    if paused:
        served.ask("POST", f"/v1/jobs/{job}/pause")
        while served.ask("GET", f"/v1/jobs/{job}")["counts"]["leased"]:
            time.sleep(0.05)
    return job


def show(page: Any, state: str) -> None:
    page.locator(".choice label", has_text=state).click()


def names(page: Any) -> list[str]:
    found: list[str] = page.evaluate(NAMES)
    return found


@pytest.fixture
def queue(page: Any, served: Served) -> Any:
    """The queue, live."""
    page.goto(f"{served.url}/?anew#/queue")
    page.locator(".live:not(.lost, .connecting)").wait_for()
    return page


@pytest.fixture
def running(queue: Any, served: Served, photo: Path) -> Iterator[tuple[str, str]]:
    """A batch that is worked on and shown: its name and id."""
    name = f"Batch {next(NUMBERS)}"
    job = batch(served, photo, name, 30)
    queue.locator(".job", has_text=name).click()
    queue.locator(".list-row strong").first.wait_for()
    yield name, job
    served.ask("POST", f"/v1/jobs/{job}/cancel")
    served.finished(job)


def test_rows_stay_while_a_whole_batch_changes(
    queue: Any, served: Served, running: tuple[str, str], photo: Path
) -> None:
    _, job = running
    queue.evaluate(f"""() => {{
        window.empty = 0;
        new MutationObserver(() => {{ window.empty += ({NAMES}).filter(one => !one).length; }})
            .observe(document.querySelector('.list'), {{ childList: true, subtree: true }});
    }}""")
    served.ask("POST", f"/v1/jobs/{job}/cancel")
    queue.locator(".list-row .state.cancelled").nth(3).wait_for()
    queue.get_by_role("button", name="Retry cancelled").click()
    queue.locator(".list-row .state.cancelled").first.wait_for(state="detached")
    served.ask("POST", f"/v1/jobs/{job}/pause")
    queue.get_by_role("button", name="Resume", exact=True).wait_for()
    assert queue.evaluate("window.empty") == 0
    upload = served.ask("POST", "/v1/uploads", photo.read_bytes(), "late.tif")["upload"]
    served.ask("POST", f"/v1/jobs/{job}/items", {"items": [{"ref": "late", "source": {"upload": upload}}]})
    queue.locator('[aria-setsize="31"]').first.wait_for()
    queue.locator(".list").evaluate("list => list.scrollTo(0, list.scrollHeight)")
    queue.locator(".list-row", has_text="late.tif").wait_for()
    assert all(names(queue))


def test_a_filtered_list_follows_what_happens(queue: Any, served: Served, running: tuple[str, str]) -> None:
    name, job = running

    def of(state: str) -> list[str]:
        items = served.ask("GET", f"/v1/jobs/{job}/items?state={state}")["items"]
        return [item["source"] for item in items]

    def more_than(count: int) -> bool:
        return len(of("done")) > count

    show(queue, "Waiting")
    until(queue, lambda: queue.locator(".list-row strong").count() > 0)
    first = names(queue)[0]
    until(queue, lambda: first not in of("queued"))
    until(queue, lambda: first not in names(queue))
    show(queue, "Done")
    for _ in range(3):
        until(queue, partial(more_than, len(of("done"))))
    served.ask("POST", f"/v1/jobs/{job}/pause")
    until(queue, lambda: not of("leased"))
    until(queue, lambda: names(queue) == of("done")[: len(names(queue))] and len(names(queue)) > 2)
    show(queue, "Waiting")
    until(queue, lambda: names(queue)[:5] == of("queued")[:5])
    served.ask("POST", f"/v1/jobs/{job}/items/{29}/cancel")
    until(queue, lambda: f"{name} 29.tif" not in names(queue))
    served.ask("POST", f"/v1/jobs/{job}/cancel")
    until(queue, lambda: names(queue) == [])


def test_a_filtered_list_is_walked_to_its_end(queue: Any, served: Served, photo: Path) -> None:
    job = served.batch(photo.read_bytes(), "Long", 850)
    served.ask("POST", f"/v1/jobs/{job}/pause")
    queue.locator(".job", has_text="Long").click()
    asked: list[str] = []
    queue.on("request", lambda sent: asked.append(sent.url) if "state=queued" in sent.url else None)
    show(queue, "Waiting")
    queue.locator(".list-row strong").first.wait_for()
    queue.evaluate("""async () => {
        const list = document.querySelector(".list");
        for (let y = 4000; y < 20000; y += 1500) {
            list.scrollTop = y;
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        }
        list.scrollTop = list.scrollHeight;
    }""")
    until(queue, lambda: queue.locator('[aria-posinset="840"] strong').count() > 0)
    assert all(names(queue))
    assert len(asked) == len(set(asked))
    assert len(
        set(queue.evaluate("[...document.querySelectorAll('.list-row')].map(row => row.ariaPosInSet)"))
    ) == len(names(queue))
    served.ask("POST", f"/v1/jobs/{job}/cancel")


def test_every_batch_can_be_reached(queue: Any, served: Served, photo: Path) -> None:
    first = served.batch(b"no photo", "The oldest of many")
    for number in range(101):
        served.batch(b"no photo", f"Crowd {number}")
    queue.reload()
    queue.locator(".job", has_text="Crowd 100").first.wait_for()
    assert queue.locator(".job").count() == 100
    assert not queue.locator(".job", has_text="The oldest of many").count()
    queue.get_by_role("button", name="Show older batches").click()
    queue.locator(".job", has_text="The oldest of many").wait_for()
    shown = queue.locator(".job strong").all_inner_texts()
    stored = [one["name"] for one in served.ask("GET", "/v1/jobs?limit=500")["jobs"]]
    assert shown == stored[: len(shown)]
    served.finished(first)


def test_the_batch_that_is_shown_stays(queue: Any, served: Served, photo: Path) -> None:
    job = batch(served, photo, "Mine", 12, paused=True)
    queue.reload()
    queue.locator(".batch h2", has_text="Mine").wait_for()
    show(queue, "Waiting")
    other = batch(served, photo, "Of somebody else", 1)
    queue.locator(".job", has_text="Of somebody else").wait_for()
    assert queue.locator(".batch h2").inner_text() == "Mine"
    assert queue.locator(".choice input:checked + span").inner_text().startswith("Waiting")
    served.ask("POST", f"/v1/jobs/{job}/cancel")
    served.finished(other)


def test_a_batch_is_cancelled_only_when_it_is_meant(queue: Any, served: Served, photo: Path) -> None:
    job = batch(served, photo, "Meant", 12, paused=True)
    queue.locator(".job", has_text="Meant").click()
    cancel = queue.locator(".batch header").get_by_role("button", name="Cancel")
    cancel.click()
    queue.get_by_role("dialog").get_by_role("button", name="Go on").click()
    assert served.ask("GET", f"/v1/jobs/{job}")["state"] == "paused"
    cancel.click()
    left = served.ask("GET", f"/v1/jobs/{job}")["counts"]["queued"]
    assert f"dropped: {left}." in queue.get_by_role("dialog").inner_text()
    queue.get_by_role("dialog").get_by_role("button", name="Cancel the batch").click()
    queue.locator(".job[aria-pressed=true] .state.cancelled").wait_for()
    queue.get_by_role("button", name="Retry cancelled").click()
    until(queue, lambda: served.ask("GET", f"/v1/jobs/{job}")["counts"]["done"] == 12)


def test_a_second_click_on_pause_does_not_resume(
    queue: Any, served: Served, running: tuple[str, str]
) -> None:
    _, job = running
    box = queue.get_by_role("button", name="Pause", exact=True).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    queue.mouse.click(x, y)
    until(queue, lambda: served.ask("GET", f"/v1/jobs/{job}")["state"] == "paused")
    queue.wait_for_timeout(100)  # the page has heard of it
    queue.mouse.click(x, y)
    queue.wait_for_timeout(600)
    assert served.ask("GET", f"/v1/jobs/{job}")["state"] == "paused"
    queue.get_by_role("button", name="Resume", exact=True).click()
    queue.get_by_role("button", name="Pause", exact=True).wait_for()


def test_a_queue_that_was_opened_without_a_bridge_recovers(page: Any, served: Served, photo: Path) -> None:
    served.finished(served.batch(photo.read_bytes(), "From before"))
    page.locator(".live:not(.lost, .connecting)").wait_for()
    port = int(served.url.rsplit(":", 1)[1])
    served.stop()
    page.evaluate("location.hash = '#/queue'")
    page.get_by_text("The bridge does not answer").wait_for()
    served.start(port)
    page.locator(".job", has_text="From before").wait_for()
    page.locator(".notice.bad").wait_for(state="detached")


def test_a_queue_waits_for_a_bridge_that_is_still_starting(page: Any, served: Served, photo: Path) -> None:
    served.finished(served.batch(photo.read_bytes(), "After the start"))
    page.locator(".live:not(.lost, .connecting)").wait_for()
    answers = iter([True, True])

    def starting(route: Any) -> None:
        if next(answers, False):
            route.fulfill(
                status=503, content_type="application/problem+json", body=json.dumps({"code": "not_ready"})
            )
        else:
            route.continue_()

    page.route("**/v1/jobs?*", starting)
    page.evaluate("location.hash = '#/queue'")
    page.locator(".job", has_text="After the start").wait_for()


@pytest.mark.parametrize("state", ["All", "Done"])
def test_photos_that_cannot_be_read_are_said_and_asked_for_again(
    queue: Any, served: Served, photo: Path, state: str
) -> None:
    name = f"Lost {state}"
    queue.route(
        "**/items?*",
        lambda route: route.fulfill(
            status=503, content_type="application/problem+json", body=json.dumps(PROBLEM)
        ),
    )
    served.finished(batch(served, photo, name, 2))  # it may be the first that is shown
    queue.locator(".job", has_text=name).click()
    show(queue, state)
    notice = queue.locator(".batch .notice.bad")
    notice.wait_for()
    assert "cannot be read" in notice.inner_text()
    queue.unroute("**/items?*")
    notice.get_by_role("button", name="Try again").click()
    queue.locator(".list-row", has_text=f"{name} 1.tif").wait_for()
    notice.wait_for(state="detached")


def test_a_client_steers_only_what_it_sent(browser: Any, served: Served, photo: Path) -> None:
    theirs = batch(served, photo, "Of the owner", 12, paused=True)
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(served.url)
    page.get_by_label("One-time code").fill(served.ask("POST", "/v1/pair/code")["code"])
    page.get_by_role("button", name="Sign in").click()
    page.locator("nav").wait_for()
    page.goto(f"{served.url}/#/queue")
    page.locator(".job", has_text="Of the owner").click()
    page.locator(".list-row strong").nth(1).wait_for()
    words = re.compile("Pause|Resume|Cancel|Retry|Try again")
    assert not page.locator(".batch").get_by_role("button", name=words).count()
    page.goto(f"{served.url}/#/try")
    page.set_input_files("input[type=file]", [photo] * 12)  # enough to be at work for a while
    page.locator(".batch h2", has_text="12 photos from the console").wait_for()
    page.locator(".job", has_text="12 photos from the console").click()
    page.locator(".batch").get_by_role("button", name=words).first.wait_for()
    context.close()
    served.ask("POST", f"/v1/jobs/{theirs}/cancel")


def test_why_a_photo_failed_is_read_without_a_mouse(queue: Any, served: Served) -> None:
    job = served.batch(b"this is no photo", "Why")
    served.finished(job)
    queue.set_viewport_size({"width": 390, "height": 844})
    queue.locator(".job", has_text="Why").click()
    queue.locator(".why").focus()
    queue.keyboard.press("Enter")
    told = queue.get_by_role("dialog").inner_text()
    error = served.ask("GET", f"/v1/jobs/{job}/items/0")["error"]
    for part in (error["title"], error["detail"], error["hint"]):
        assert part in told
    queue.keyboard.press("Escape")
    queue.locator("dialog").wait_for(state="detached")


def test_names_stay_where_they_belong(queue: Any, served: Served) -> None:
    name = "\u202eevil" + "Hochzeit_der_Familie_" * 8
    served.finished(served.batch(b"this is no photo", name))
    for width in (1280, 640, 390):
        queue.set_viewport_size({"width": width, "height": 844})
        queue.locator(".job", has_text="Hochzeit").click()
        retry = queue.get_by_role("button", name="Retry failed").bounding_box()
        assert retry["x"] + retry["width"] <= width
        assert queue.evaluate("document.querySelector('main').scrollWidth <= innerWidth")
    for name in (".job[aria-pressed=true] strong", ".batch h2", ".list-row strong"):
        assert queue.locator(f"{name} > bdi").count() == 1
    assert (
        queue.locator(".item-do").get_by_role("button").get_attribute("aria-label") == "Try again: anna.tif"
    )
