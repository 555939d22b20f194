"""A hostile page in a real Chromium, before a real bridge, with the owner's token in its hands.

Chromium's own guard of the local network is switched off: it is a bonus, not what we rely on. That the
requests arrived, and were refused by us, is read in the bridge's log.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.server.app import ROUTES
from bridge.server.openapi import document
from tests.console.conftest import ARGUMENTS, CHROMIUM, Served, sync_api

HOSTILE = (Path(__file__).parent / "hostile.js").read_text(encoding="utf-8")
OPERATIONS = [
    {"method": method.upper(), "path": path.replace("{", "").replace("}", "")}
    for path, item in document(ROUTES)["paths"].items()
    for method in item
]
EVIL = "http://evil.example"
REBOUND = "rebound.example"
NOT_GUARDED = "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets"
PAGE = "<!doctype html><meta charset=utf-8><title>You have won</title><body>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    resolved = f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1"
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, NOT_GUARDED, resolved]
        )
        yield running
        running.close()


class Witness:
    """What is there before and after, and what was refused meanwhile."""

    def __init__(self, bridge: Served) -> None:
        self.bridge = bridge
        self._before, self._read = self._all(), len(self._lines())
        self.token = json.loads((bridge.home / "bridge.json").read_text())["token"]

    def _lines(self) -> list[str]:
        return [
            line
            for path in sorted(self.bridge.home.rglob("*.log"))
            for line in path.read_text(encoding="utf-8").splitlines()
        ]

    def _all(self) -> dict[str, Any]:
        paths = ("/v1/presets", "/v1/clients", "/v1/jobs", "/v1/checkpoints", "/v1/reviews")
        told = {path: self.bridge.ask("GET", path) for path in paths}
        files = [path for path in self.bridge.home.rglob("*") if path.suffix not in (".log", ".sqlite-wal")]
        return {**told, "files": sorted(str(path) for path in files)}

    def refused(self) -> Counter[str]:
        """How often each code was answered since the beginning."""
        said = [json.loads(line) for line in self._lines()[self._read :]]
        return Counter(line["code"] for line in said if line.get("event") == "request refused")

    def unchanged(self) -> bool:
        return self._all() == self._before


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    """A bridge for one attack: a beacon or form of the attack before may still be on its way."""
    bridge = Served(tmp_path / "home")
    bridge.start()
    yield Witness(bridge)
    bridge.stop()


def attack(
    browser: Any, witness: Witness, address: str, *, target: str, operations: Any = OPERATIONS
) -> dict[str, Any]:
    """Open a page of ours at an address, and let it do what it can."""
    context = browser.new_context()
    page = context.new_page()
    context.route(address, lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.goto(address)
    told: dict[str, Any] = page.evaluate(
        f"({HOSTILE})", {"target": target, "operations": operations, "token": witness.token}
    )
    page.wait_for_timeout(200)  # for forms and beacons, whose answers nobody waits for
    context.close()
    return told


def test_a_page_of_another_site_learns_nothing_and_changes_nothing(browser: Any, witness: Witness) -> None:
    told = attack(browser, witness, f"{EVIL}/", target=witness.bridge.url)
    assert told["learnt"] == []
    refused = witness.refused()
    assert set(refused) == {"origin_refused"}
    # Without what the browser itself keeps back, as after a preflight that was refused: most arrived.
    assert refused["origin_refused"] > told["tried"] * 0.7
    assert witness.unchanged()


def test_a_name_that_leads_here_opens_nothing(browser: Any, witness: Witness) -> None:
    """DNS rebinding: the page's own origin is the bridge; the browser lets it read all that it is told."""
    own = witness.bridge.url.replace("127.0.0.1", REBOUND)
    told = attack(browser, witness, f"{own}/won.html", target=own)
    read = [entry for entry in told["learnt"] if "status" in entry]
    assert len(read) >= 2 * len(OPERATIONS) - 2
    assert {entry["status"] for entry in read} == {421}
    assert all(json.loads(entry["body"])["code"] == "host_refused" for entry in read)
    assert [entry for entry in told["learnt"] if entry["how"] in ("WebSocket", "img", "script", "link")] == []
    assert all(witness.token not in entry.get("body", "") for entry in told["learnt"])
    assert set(witness.refused()) == {"host_refused"}
    assert witness.unchanged()


def test_a_page_without_an_origin_is_nobody(browser: Any, witness: Witness) -> None:
    """A sandboxed frame sends `Origin: null`, whoever made it."""
    context = browser.new_context()
    page = context.new_page()
    context.route(f"{EVIL}/", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.goto(f"{EVIL}/")
    with page.expect_event("frameattached"):
        page.evaluate(
            """() => {
              const frame = document.createElement("iframe");
              frame.sandbox = "allow-scripts allow-forms";
              frame.srcdoc = "<body>";
              document.body.append(frame);
            }"""
        )
    frame = page.frames[-1]
    frame.wait_for_load_state()
    assert frame.evaluate("self.origin") == "null"
    told = frame.evaluate(
        f"({HOSTILE})",
        {"target": witness.bridge.url, "operations": OPERATIONS[:12], "token": witness.token},
    )
    context.close()
    assert told["learnt"] == []
    assert set(witness.refused()) == {"origin_refused"}
    assert witness.unchanged()


def test_a_link_from_another_site_opens_no_page_of_ours(browser: Any, witness: Witness) -> None:
    context = browser.new_context()
    page = context.new_page()
    link = f'{PAGE}<a href="{witness.bridge.url}/">Your photos</a>'
    context.route(f"{EVIL}/", lambda route: route.fulfill(body=link, content_type="text/html"))
    page.goto(f"{EVIL}/")
    page.get_by_role("link").click()
    page.wait_for_url(witness.bridge.url + "/")
    assert "origin_refused" in page.content()
    context.close()


def test_the_same_lines_do_harm_where_they_may(browser: Any, witness: Witness) -> None:
    """From the console's own origin with the token they get through: the tests above try what works."""
    own, kept = witness.bridge.url, [one for one in OPERATIONS if one["method"] != "DELETE"]
    told = attack(browser, witness, f"{own}/won.html", target=own, operations=kept)
    assert {200, 201} <= {entry.get("status") for entry in told["learnt"]}
    assert "WebSocket" in {entry["how"] for entry in told["learnt"]}
    assert not witness.unchanged()
