"""A real browser in front of a real bridge with fake parts; skipped where there is no browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="the dev extra has Playwright")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ROOT = Path(__file__).parents[2]
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


@dataclass
class Served:
    """A bridge as a process, which can be stopped and started again on the same port."""

    home: Path
    seconds: float = 0.0
    """What a restoration takes."""
    lan: dict[str, Any] = field(default_factory=dict)
    """Settings of a door for other computers."""
    url: str = ""
    console: str = ""
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    def start(self, port: int = 0) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own module, by its own interpreter
            [
                sys.executable,
                "-m",
                "tests.server.standalone",
                str(port),
                str(self.seconds),
                json.dumps(self.lan),
            ],
            cwd=ROOT,
            env={**os.environ, "GPEN_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self.url, self.console = told["url"], told["console"]

    def stop(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.terminate()
        self.process.wait(30)
        self.process.stdout.close()

    def ask(self, method: str, path: str, body: Any = None, file: str = "anna.tif") -> Any:
        """One request of the owner; `file`: the name of a body that is bytes."""
        token = json.loads((self.home / "bridge.json").read_text())["token"]
        data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind, "GPEN-File-Name": file}
        asked = urllib.request.Request(  # noqa: S310 - our own bridge
            self.url + path, data if method in ("POST", "PUT") else None, headers, method=method
        )
        with urllib.request.urlopen(asked) as response:  # noqa: S310 - as above
            return json.loads(response.read() or b"null")

    def preset(self, name: str, **parameters: Any) -> None:
        """Save a preset."""
        self.ask("PUT", f"/v1/presets/{quote(name)}", {"parameters": parameters})

    def strengths(self) -> dict[str, int]:
        """What each preset holds, by name."""
        kept = self.ask("GET", "/v1/presets")["presets"]
        return {one["name"]: one["parameters"]["strength"] for one in kept}

    def batch(self, photo: bytes, name: str, count: int = 1) -> str:
        """A job of `count` times the same photo; its id."""
        upload = self.ask("POST", "/v1/uploads", photo)["upload"]
        items = [{"ref": str(n), "source": {"upload": upload}} for n in range(count)]
        return str(self.ask("POST", "/v1/jobs", {"client": "test", "name": name, "items": items})["job"])

    def finished(self, job: str) -> None:
        """Wait until nothing of a job is left to do."""
        for _ in range(600):
            counts = self.ask("GET", f"/v1/jobs/{job}")["counts"]
            if not counts["queued"] and not counts["leased"]:
                return
            time.sleep(0.05)
        raise AssertionError("the batch did not come to its end")


def until(page: Any, said: Callable[[], bool]) -> None:
    """Wait for what no selector tells."""
    deadline = time.monotonic() + 30
    while not said():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    bridge = Served(tmp_path_factory.mktemp("home"))
    bridge.start()
    yield bridge
    bridge.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def signed_in(browser: Any, served: Served) -> Any:
    """What a browser keeps after it was signed in by the link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.console)
    page.wait_for_selector(".guide")
    assert "code" not in page.url
    page.get_by_role("button", name="Try a photo").click()
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture
def page(browser: Any, served: Served, signed_in: Any) -> Iterator[Any]:
    """A signed-in page; the content policy and the scripts must have nothing to say."""
    context = browser.new_context(storage_state=signed_in, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(30_000)  # the machine may be busy
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "console",
        lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None,
    )
    opened.goto(served.url)
    yield opened
    context.close()
    assert not wrong


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 16-bit TIFF: browsers cannot decode it."""
    import numpy as np

    from bridge.imaging.codecs import Format, encode
    from bridge.imaging.image import Image

    pixels = np.random.default_rng(5).integers(9000, 50000, (240, 320, 3)).astype(np.uint16)
    path = tmp_path_factory.mktemp("photo") / "anna.tif"
    path.write_bytes(encode(Image(pixels), Format.TIFF).data)
    return path
