"""System and the first visit: what cannot be told is not called good, and pairing is noticed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.console.conftest import Served, until

UNWELL = {"code": "store_unavailable", "title": "The store of jobs cannot be used", "status": 503}


def unwell(route: Any) -> None:
    route.fulfill(status=503, body=json.dumps(UNWELL), content_type="application/problem+json")


def pair(served: Served, code: str, name: str) -> None:
    served.ask("POST", "/v1/pair", {"code": code, "client": "lightroom", "name": name})


@pytest.mark.parametrize(
    ("name", "route", "good"),
    [("system", "**/v1/log?*", "Nothing went wrong."), ("guide", "**/v1/checkpoints", "Ready to work")],
)
def test_what_is_not_known_is_said_and_asked_again(
    page: Any, served: Served, name: str, route: str, good: str
) -> None:
    page.route(route, unwell)
    page.goto(f"{served.url}/#/{name}")
    told = page.locator(".notice.bad", has_text="cannot be used").last
    told.wait_for()
    assert page.get_by_text(good).count() == 0
    assert page.locator("main .loading").count() == 0
    page.unroute(route)
    told.get_by_role("button", name="Try again").click()
    page.get_by_text(good).wait_for()


def test_a_log_that_still_loads_is_not_called_empty(page: Any, served: Served) -> None:
    held: list[Any] = []
    page.route("**/v1/log?*", lambda route: held.append(route))
    page.goto(f"{served.url}/#/system")
    page.locator(".card", has_text="Recent errors").locator(".loading").wait_for()
    assert page.get_by_text("Nothing went wrong.").count() == 0
    until(page, lambda: bool(held))  # "Loading" is drawn before anything is asked
    held[0].continue_()
    page.get_by_text("Nothing went wrong.").wait_for()


def test_a_torn_line_of_the_log_is_passed_over(page: Any, served: Served) -> None:
    line = {
        "level": "error",
        "event": "failed",
        "detail": "The disk is full.",
        "timestamp": "2026-11-26T19:30:47Z",
    }
    torn = json.dumps(line) + '\n{"level": "err'
    page.route("**/v1/log?*", lambda route: route.fulfill(body=torn, content_type="application/x-ndjson"))
    page.goto(f"{served.url}/#/system")
    page.get_by_text("The disk is full.").wait_for()
    page.locator(".spark").wait_for()


def test_a_pairing_is_noticed(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/#/system")
    page.get_by_role("button", name="Show a pairing code").click()
    code = page.locator(".pair-code output").inner_text()
    pair(served, code, "Studio PC")
    page.get_by_role("listitem").filter(has_text="Studio PC").wait_for()
    page.get_by_text(re.compile("Studio PC.* is paired")).wait_for()
    page.get_by_role("button", name="Show a pairing code").wait_for()


def test_each_client_is_revoked_by_its_name(page: Any, served: Served) -> None:
    for name in ("Mac left", "Mac right"):
        pair(served, served.ask("POST", "/v1/pair/code")["code"], name)
    page.goto(f"{served.url}/#/system")
    page.get_by_role("button", name=re.compile("Revoke.*Mac left.*lightroom")).click()
    page.get_by_role("listitem").filter(has_text="Mac left").wait_for(state="detached")
    assert page.get_by_role("listitem").filter(has_text="Mac right").count() == 1


def test_a_chinese_page_says_what_to_do_in_chinese(page: Any, served: Served) -> None:
    full = {"code": "disk_full", "title": "x", "hint": "Make room on the disk.", "status": 507}
    page.route("**/v1/log?*", lambda route: route.fulfill(status=507, json=full))
    page.get_by_role("button", name="中文").click()
    page.goto(f"{served.url}/#/system")
    page.locator(".notice.bad", has_text="请清理磁盘空间").wait_for()
    assert page.get_by_text("Make room").count() == 0


def test_the_page_of_a_studio_does_not_speak_of_this_computer(browser: Any, served: Served) -> None:
    """The same page under another name, as a workstation sees it."""
    studio = "http://bridge.studio.lan"

    def passed_on(route: Any) -> None:
        sent = {
            name: text for name, text in route.request.headers.items() if name not in ("origin", "referer")
        }
        url = route.request.url.replace(studio, served.url)
        route.fulfill(
            response=route.fetch(url=url, headers=sent | {"host": served.url.removeprefix("http://")})
        )

    page = browser.new_page()
    page.set_default_timeout(30_000)
    page.route(f"{studio}/**", passed_on)
    code = served.ask("POST", "/v1/pair/code?for=owner")["code"]
    page.goto(f"{studio}/#code={code}")
    page.locator(".guide").get_by_text("by the studio's bridge").wait_for()
    page.get_by_role("button", name="Try a photo").click()
    page.locator(".drop").get_by_text("the studio's bridge").wait_for()
    page.goto(f"{studio}/#/system")
    page.get_by_role("button", name="Import a file").click()
    page.get_by_role("dialog").get_by_text("studio's bridge only").wait_for()
    assert page.get_by_text("this computer").count() == 0
    page.close()
