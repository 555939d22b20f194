"""Who is signed in: several tabs of one browser, sign-out, and what a revoked browser no longer does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Served


@pytest.fixture
def tabs(browser: Any, served: Served) -> Iterator[tuple[Any, Any]]:
    """Two tabs of one browser that is signed in by a client of its own."""
    context = browser.new_context()
    context.set_default_timeout(30_000)
    first = context.new_page()
    enter(first, served)
    second = context.new_page()
    second.goto(f"{served.url}/#/queue")
    second.locator("nav").wait_for()
    yield first, second
    context.close()


def enter(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/#code={new_code(served)}")
    page.locator("nav").wait_for()


def new_code(served: Served) -> str:
    return str(served.ask("POST", "/v1/pair/code?for=owner")["code"])


def type_code(page: Any, served: Served) -> None:
    page.get_by_label("One-time code").fill(new_code(served))
    page.get_by_role("button", name="Sign in").click()
    page.locator("nav").wait_for()


def clients(served: Served) -> set[str]:
    return {one["client_id"] for one in served.ask("GET", "/v1/clients")["clients"]}


def test_signing_out_and_in_holds_for_every_tab(tabs: tuple[Any, Any], served: Served) -> None:
    first, second = tabs
    first.get_by_role("button", name="Sign out").click()
    second.locator(".door").wait_for()
    assert second.get_by_role("alert").count() == 0
    assert second.locator("main.queue").count() == 0
    type_code(second, served)
    first.locator("nav").wait_for()


def test_a_tab_that_hears_late_leaves_the_new_sign_in_alone(tabs: tuple[Any, Any], served: Served) -> None:
    first, second = tabs
    second.route("**/v1/jobs?*", lambda route: late.append(route))
    late: list[Any] = []
    second.reload()
    second.locator("nav").wait_for()
    while not late:
        second.wait_for_timeout(20)
    for client in clients(served):
        served.ask("DELETE", f"/v1/clients/{client}")
    first.reload()
    type_code(first, served)
    second.locator("nav").wait_for()
    late[0].continue_()  # with the token of before: refused
    second.wait_for_timeout(500)
    assert second.locator("nav").count() == 1
    first.reload()
    first.locator("nav").wait_for()


def test_a_revoked_tab_keeps_its_page_when_another_one_signs_in(
    tabs: tuple[Any, Any], served: Served, photo: Path
) -> None:
    first, second = tabs
    first.get_by_role("button", name="Try a photo").click()
    first.set_input_files("input[type=file]", photo)
    first.wait_for_selector(".stage img.after")
    for client in clients(served):
        served.ask("DELETE", f"/v1/clients/{client}")
    second.reload()
    second.locator(".door").wait_for()
    first.locator(".door").wait_for()
    assert "access was revoked" in first.get_by_role("alert").inner_text()
    type_code(second, served)
    first.locator(".bench").wait_for()
    assert first.locator(".file").inner_text() == "anna.tif"


def test_signing_out_revokes_the_browser(browser: Any, served: Served) -> None:
    before = clients(served)
    page = browser.new_page()
    enter(page, served)
    assert len(clients(served) - before) == 1
    page.goto(f"{served.url}/#code={new_code(served)}")  # a link again: in the place of the first sign-in
    page.wait_for_function("!location.hash")
    page.locator("nav").wait_for()
    wait_until(page, lambda: len(clients(served) - before) == 1)
    page.get_by_role("button", name="Sign out").click()
    page.locator(".door").wait_for()
    wait_until(page, lambda: clients(served) == before)
    page.close()


def test_a_sign_out_that_the_bridge_did_not_hear_is_said(browser: Any, served: Served) -> None:
    page = browser.new_page()
    enter(page, served)
    page.route("**/v1/clients/*", lambda route: route.abort())
    page.get_by_role("button", name="Sign out").click()
    page.locator(".said.bad", has_text="could not be told").wait_for()
    assert page.locator(".door").is_visible()
    page.close()


def wait_until(page: Any, holds: Callable[[], bool]) -> None:
    for _ in range(300):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError


def test_nothing_is_asked_behind_the_door(browser: Any, served: Served) -> None:
    """A studio's door counts wrong tokens: they would use up the tries of the one who types a new code."""
    before = clients(served)
    page = browser.new_page()
    enter(page, served)
    page.goto(f"{served.url}/#/system")
    page.get_by_text("The bridge is ready").wait_for()
    page.get_by_role("button", name="Show a pairing code").click()
    (own,) = clients(served) - before
    served.ask("DELETE", f"/v1/clients/{own}")
    page.locator(".door").wait_for()
    page.wait_for_timeout(300)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(5000)
    assert not asked
    page.close()
