"""Review: which photos wait, the keys that judge them, and what the page says when something is missing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Served

UNWELL = {"code": "store_unavailable", "title": "The store of jobs cannot be used", "status": 503}


@pytest.fixture
def review(page: Any, served: Served, photo: Path) -> Iterator[Any]:
    """The page Review with four photos that wait; none of them afterwards."""
    served.finished(served.batch(photo.read_bytes(), "Wedding", 4))
    page.goto(f"{served.url}/#/review")
    page.locator(".pair img").nth(1).wait_for()
    yield page
    for job in served.ask("GET", "/v1/jobs")["jobs"]:
        for item in waiting(served, job["job"]):
            judge(served, job["job"], item)


def waiting(served: Served, job: str) -> list[int]:
    found = served.ask("GET", f"/v1/jobs/{job}/items?state=done&review=none&limit=500")["items"]
    return [item["item"] for item in found]


def judge(served: Served, job: str, item: int, verdict: str = "accepted") -> None:
    served.ask("POST", f"/v1/jobs/{job}/items/{item}/review", {"verdict": verdict})


def wedding(served: Served) -> str:
    return str(served.ask("GET", "/v1/jobs")["jobs"][0]["job"])


def verdicts(served: Served) -> list[str]:
    items = served.ask("GET", f"/v1/jobs/{wedding(served)}/items")["items"]
    return [item["review"]["verdict"] for item in items]


def place(page: Any) -> str:
    """Which photo of how many."""
    return str(page.locator(".pair-view small").first.inner_text().rsplit(" · ", 1)[1])


def comes_to(page: Any, where: str) -> None:
    page.locator(".pair-view small", has_text=re.compile(rf" {where}$")).first.wait_for()


def unwell(route: Any) -> None:
    route.fulfill(status=503, body=json.dumps(UNWELL), content_type="application/problem+json")


def test_a_held_key_judges_one_photo(review: Any, served: Served) -> None:
    for _ in range(6):
        review.keyboard.down("a")
        review.wait_for_timeout(150)
    review.keyboard.up("a")
    assert verdicts(served) == ["accepted", "none", "none", "none"]


def test_capital_letters_judge_too_but_not_with_a_modifier(review: Any, served: Served) -> None:
    for key in ("Shift+A", "Control+x", "Alt+x", "Meta+x"):
        review.keyboard.press(key)
    review.wait_for_timeout(300)
    assert verdicts(served) == ["none"] * 4
    review.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'A', bubbles: true }))")
    comes_to(review, "2 / 4")
    assert verdicts(served) == ["accepted", "none", "none", "none"]


def test_presses_before_the_answer_judge_nothing_twice(review: Any, served: Served) -> None:
    asked: list[Any] = []
    review.route("**/review", lambda route: asked.append(route))
    for _ in range(3):
        review.keyboard.press("a")
    review.wait_for_timeout(300)
    assert len(asked) == 1
    review.keyboard.press("ArrowRight")
    review.keyboard.press("ArrowRight")
    comes_to(review, "3 / 4")
    asked[0].continue_()
    review.locator(".bars").wait_for()
    review.wait_for_timeout(300)
    assert place(review) == "3 / 4"  # who went on is not pulled back
    assert verdicts(served) == ["accepted", "none", "none", "none"]


def test_every_press_judges_another_photo(review: Any, served: Served) -> None:
    """As fast as the page takes them: a press judges the photo that is shown, or nothing."""
    asked: list[str] = []
    review.on("request", lambda one: asked.append(one.url) if one.url.endswith("/review") else None)
    review.evaluate("""async () => {
      for (let n = 0; n < 400; n += 1) {
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
        await new Promise((done) => setTimeout(done, 1));
        if (/4 \\/ 4/.test(document.querySelector(".pair-view small").textContent)) return;
      }
    }""")
    review.wait_for_timeout(300)
    assert len(set(asked)) == len(asked)


def test_photos_that_finish_meanwhile_appear(review: Any, served: Served, photo: Path) -> None:
    for item in waiting(served, wedding(served)):
        judge(served, wedding(served), item)
    review.reload()
    review.get_by_text("Nothing to review").wait_for()
    served.finished(served.batch(photo.read_bytes(), "Since", 1))
    comes_to(review, "1 / 1")
    served.finished(served.batch(photo.read_bytes(), "Later", 2))
    comes_to(review, "1 / 3")


def test_what_others_judged_is_not_offered_again(review: Any, served: Served) -> None:
    judge(served, wedding(served), 1, "rejected")
    judge(served, wedding(served), 0, "accepted")
    review.locator(".pair-view .state.accepted").wait_for()
    review.locator(".bars").wait_for()
    with review.expect_response(lambda reply: reply.url.endswith("/items/0/review")):
        review.keyboard.press("a")
    comes_to(review, "3 / 4")
    review.keyboard.press("ArrowLeft")
    review.locator(".pair-view .state.rejected").wait_for()


def test_all_that_wait_are_counted_and_come(page: Any, served: Served, photo: Path) -> None:
    """Page by page, over all batches and all pages of batches."""

    def fewer(route: Any) -> None:
        route.continue_(url=re.sub(r"limit=\d+", "limit=5", route.request.url))

    page.route("**/v1/jobs?*", fewer)
    page.route("**/items?*", fewer)
    for name in ("A", "B", "C", "D", "E", "F"):
        served.batch(photo.read_bytes(), name, 2)
    served.finished(served.batch(photo.read_bytes(), "Large", 43))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/items?" in request.url else None)
    page.goto(f"{served.url}/#/review")
    page.locator(".pair img").nth(1).wait_for()
    page.wait_for_timeout(500)
    assert place(page) == "1 / 55"
    assert 4 < len(asked) < 8
    for at in range(2, 56):
        page.keyboard.press("ArrowRight" if at % 2 else "x")
        comes_to(page, f"{at} / 55")
    page.keyboard.press("x")
    page.locator(".pair-view .state.rejected").wait_for()
    assert sum(len(waiting(served, one["job"])) for one in served.ask("GET", "/v1/jobs")["jobs"]) == 27
    assert place(page) == "55 / 55"


def test_a_picture_that_did_not_come_is_not_called_gone(review: Any, served: Served) -> None:
    review.route("**/preview?*", unwell)
    review.keyboard.press("ArrowRight")
    told = review.locator(".pair .notice")
    told.nth(1).wait_for()
    assert "cannot be used" in told.first.inner_text()
    assert review.get_by_text("no longer there").count() == 0
    review.unroute("**/preview?*")
    told.first.get_by_role("button", name="Try again").click()
    review.locator(".pair img").wait_for()
    gone = {"code": "result_gone", "title": "x", "status": 410}
    review.route("**/preview?*", lambda route: route.fulfill(status=410, json=gone))
    review.keyboard.press("ArrowRight")
    review.get_by_text("no longer there").nth(1).wait_for()


def test_pictures_come_when_the_bridge_is_back(review: Any, served: Served) -> None:
    review.locator(".live:not(.lost, .connecting)").wait_for()
    port = int(served.url.rsplit(":", 1)[1])
    served.stop()
    review.keyboard.press("ArrowRight")
    review.locator(".pair .notice", has_text="does not answer").nth(1).wait_for()
    served.start(port)
    review.locator(".pair img").nth(1).wait_for()
    assert place(review).startswith("2 / ")  # how many wait there depends on the tests before


def test_acceptance_that_is_not_known_is_not_called_none(page: Any, served: Served) -> None:
    page.route("**/v1/reviews", unwell)
    page.goto(f"{served.url}/#/review")
    card = page.locator(".card", has_text="Acceptance by preset")
    card.locator(".notice.bad", has_text="cannot be used").wait_for()
    assert page.get_by_text("Accept or reject a few photos").count() == 0
    page.unroute("**/v1/reviews")
    card.get_by_role("button", name="Try again").click()
    card.locator(".notice.bad").wait_for(state="detached")
