"""Answers that are older than what was told in the meantime: held back, released, and passed over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import Served, until


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Slow enough that a photo is asked about while it is worked on."""
    bridge = Served(tmp_path_factory.mktemp("home"), seconds=3.0)
    bridge.start()
    yield bridge
    bridge.stop()


def held(page: Any, pattern: str) -> Callable[[], None]:
    """The next answer at an address, as it is now, but not given until it is released."""
    answers: list[tuple[Any, Any]] = []

    def hold(route: Any) -> None:
        if answers:
            route.continue_()
        else:
            answers.append((route, route.fetch()))

    page.route(pattern, hold)

    def release() -> None:
        (route, answer) = answers[0]
        route.fulfill(response=answer)
        page.wait_for_timeout(300)

    def wait() -> None:
        until(page, lambda: bool(answers))

    page.wait_for_answer = wait
    return release


def test_a_batch_that_came_since_the_question_stays(page: Any, served: Served, photo: Path) -> None:
    served.finished(served.batch(photo.read_bytes(), "Before"))
    page.locator(".live:not(.lost, .connecting)").wait_for()
    release = held(page, "**/v1/jobs?*")
    page.goto(f"{served.url}/#/queue")
    page.wait_for_answer()
    served.batch(photo.read_bytes(), "Since")
    page.locator(".job", has_text="Since").wait_for()
    release()
    assert page.locator(".job", has_text="Before").count() == 1
    assert page.locator(".job", has_text="Since").count() == 1


def test_a_photo_that_was_finished_since_the_question_stays_so(
    page: Any, served: Served, photo: Path
) -> None:
    page.locator(".live:not(.lost, .connecting)").wait_for()
    release = held(page, "**/items?*")
    job = served.batch(photo.read_bytes(), "Slow")
    page.goto(f"{served.url}/#/queue")
    page.locator(".job", has_text="Slow").click()
    page.wait_for_answer()
    served.finished(job)
    page.locator(".list-row .state.done").wait_for()
    release()
    assert page.locator(".list-row .state").inner_text() == "Done"
