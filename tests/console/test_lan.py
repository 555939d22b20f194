"""The console of a studio: through the door for other computers, over TLS."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.console.conftest import ARGUMENTS, CHROMIUM, Served, sync_api

pytest.importorskip("cryptography", reason="the extra studio brings it")
NAME = "bridge.lan"
HOST = "127.0.0.2"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    from bridge import certificates

    made = certificates.make(tmp_path_factory.mktemp("tls"), [NAME])
    with socket.socket() as probe:
        try:
            probe.bind((HOST, 0))
        except OSError:
            pytest.skip(f"this system has no {HOST}")
        port = probe.getsockname()[1]
    lan = {"host": HOST, "lan_port": port, "names": [NAME]}
    files = {"tls_certificate": str(made.server), "tls_key": str(made.server_key)}
    bridge = Served(tmp_path_factory.mktemp("home"), lan=lan | files)
    bridge.start()
    yield bridge
    bridge.stop()


@pytest.fixture
def page(served: Served) -> Iterator[Any]:
    """A page at the door; the content policy and the scripts must have nothing to say."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, f"--host-resolver-rules=MAP {NAME} {HOST}"]
        )
        opened = running.new_context(ignore_https_errors=True).new_page()
        opened.set_default_timeout(30_000)
        wrong: list[str] = []
        opened.on("pageerror", lambda error: wrong.append(str(error)))
        opened.on(
            "console",
            lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None,
        )
        opened.goto(f"https://{NAME}:{served.lan['lan_port']}")
        yield opened
        running.close()
        assert not wrong


def test_a_workstation_signs_in_and_follows_live(page: Any, served: Served, photo: Path) -> None:
    page.get_by_label("One-time code").fill(served.ask("POST", "/v1/pair/code")["code"])
    page.get_by_role("button", name="Sign in").click()
    page.locator(".live:not(.lost, .connecting)").wait_for()
    page.goto(f"{page.url.partition('#')[0]}#/queue")
    page.reload()
    page.locator(".live:not(.lost, .connecting)").wait_for()
    served.batch(photo.read_bytes(), "Wedding")
    page.locator(".job", has_text="Wedding").wait_for()
