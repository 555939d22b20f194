"""The pictures of docs/console.md: `python -m tests.console.screenshots [FOLDER]`.

A real bridge with the bundled checkpoint, a morning's work on photos that scikit-image ships (one file is
damaged on purpose), and every page in a real browser. With FOLDER every page in both themes, both
languages and both widths goes there; without it the ones that the docs show are renewed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from playwright.sync_api import Browser, sync_playwright

from bridge.imaging.codecs import Format, encode
from bridge.imaging.image import Image
from tests.console.conftest import ARGUMENTS, CHROMIUM, ROOT, Served

WIDE, PHONE = (1280, 800), (390, 844)
PAGES = ("door", "guide", "try", "queue", "review", "presets", "system")
DOCS = {  # page: theme and language when wide; the phone's picture has the other theme
    "door": ("light", "en"),
    "guide": ("light", "en"),
    "try": ("dark", "en"),
    "queue": ("light", "en"),
    "review": ("dark", "en"),
    "presets": ("light", "zh"),
    "system": ("dark", "en"),
}
QUALITY = 72


def photos(folder: Path) -> list[Path]:
    """A portrait as several cameras would have given it, two without a face, one damaged."""
    noise = np.random.default_rng(7)
    portrait = skimage.data.astronaut().astype(np.float32)
    soft = portrait.reshape(256, 2, 256, 2, 3).mean((1, 3)).repeat(2, 0).repeat(2, 1)
    made = {
        "eileen-studio.jpg": portrait,
        "eileen-phone.jpg": portrait * 0.55 + noise.normal(0, 14, portrait.shape),
        "eileen-crop.png": portrait[0:320, 96:416],
        "eileen-scan.tif": soft * (0.8, 0.72, 0.6) + (40, 38, 30) + noise.normal(0, 6, soft.shape),
        "eileen-evening.jpg": portrait * (0.95, 0.72, 0.5),
        "chelsea.jpg": skimage.data.chelsea().astype(np.float32),
        "coffee.jpg": skimage.data.coffee().astype(np.float32),
    }
    formats = {".jpg": Format.JPEG, ".png": Format.PNG, ".tif": Format.TIFF}
    for name, pixels in made.items():
        image = Image(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
        (folder / name).write_bytes(encode(image, formats[Path(name).suffix]).data)
    whole = (folder / "eileen-studio.jpg").read_bytes()
    (folder / "eileen-card-error.jpg").write_bytes(whole[: len(whole) // 3])
    return [folder / name for name in (*made, "eileen-card-error.jpg")]


@contextmanager
def real_bridge(home: Path) -> Iterator[Served]:
    """The product itself, ready."""
    served = Served(home)
    command = [sys.executable, "-m", "bridge", "serve", "--port", "0", "--device", "cpu", "--json"]
    served.process = subprocess.Popen(  # noqa: S603 - our own module, by its own interpreter
        command, cwd=ROOT, env={**os.environ, "GPEN_HOME": str(home)}, stdout=subprocess.PIPE, text=True
    )
    try:
        assert served.process.stdout is not None
        lines = ""
        while True:
            lines += served.process.stdout.readline()
            try:
                told = json.loads(lines)
                break
            except json.JSONDecodeError:
                continue
        served.url, served.console = told["url"], told["console"]
        while not served.ask("GET", "/v1/ready")["ready"]:
            time.sleep(0.2)
        yield served
    finally:
        served.stop()


def a_mornings_work(served: Served, files: list[Path]) -> None:
    """A finished batch that is partly reviewed, and one that is paused in the middle."""

    def job(name: str, client: str, preset: str, chosen: list[Path]) -> str:
        items = [
            {
                "ref": f"{n} {path.name}",
                "source": {
                    "upload": served.ask("POST", "/v1/uploads", path.read_bytes(), path.name)["upload"]
                },
            }
            for n, path in enumerate(chosen)
        ]
        asked = {"client": client, "name": name, "preset": preset, "items": items}
        return str(served.ask("POST", "/v1/jobs", asked)["job"])

    first = job("Family album", "lightroom", "default", files)
    second = job("Phone pictures", "console", "phone", files[:3])
    served.finished(first)
    served.finished(second)
    verdicts = {
        first: ("accepted", "accepted", "none", "rejected", "accepted"),
        second: ("accepted", "rejected"),
    }
    for reviewed, said in verdicts.items():
        for item, verdict in enumerate(said):
            if verdict != "none":
                served.ask("POST", f"/v1/jobs/{reviewed}/items/{item}/review", {"verdict": verdict})
    third = job("Wedding Li & Chen", "lightroom", "dslr", files[:5] * 4)
    while served.ask("GET", f"/v1/jobs/{third}")["counts"]["done"] < 6:
        time.sleep(0.1)
    served.ask("POST", f"/v1/jobs/{third}/pause")
    served.ask("POST", "/v1/pair", {"code": served.ask("POST", "/v1/pair/code")["code"], **LIGHTROOM})


LIGHTROOM = {"client": "lightroom", "name": "Lightroom on Studio Mac"}


def settle(page: Any, name: str, files: list[Path]) -> None:
    """Until a page has what it shows."""
    if name == "try":
        page.set_input_files("input[type=file]", files[3])
        page.wait_for_selector(".stage img.after")
        page.locator(".working").wait_for(state="detached")
    elif name == "queue":
        page.locator(".job", has_text="Family album").click()
        page.locator(".list-row img.thumb").nth(5).wait_for()
    elif name == "review":
        page.locator(".pair img").nth(1).wait_for()
    elif name == "presets":
        page.wait_for_selector(".sample img.after")
    elif name == "system":
        page.locator(".health .facts").wait_for()
        page.locator(".bars").wait_for()
    page.wait_for_timeout(700)


class Studio:
    """One browser, signed in, that takes pictures of pages."""

    def __init__(self, browser: Browser, served: Served, files: list[Path]) -> None:
        self._browser, self._served, self._files = browser, served, files
        page = browser.new_page()
        page.goto(served.console)
        page.locator(".guide li").first.wait_for()
        page.evaluate("localStorage.setItem('gpen.guide', 'seen')")
        self._signed_in = page.context.storage_state()
        page.context.close()

    def shoot(self, name: str, theme: Any, language: str, size: tuple[int, int], path: Path) -> None:
        """One page as a JPEG."""
        state = None if name == "door" else self._signed_in
        context = self._browser.new_context(
            storage_state=state,
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            locale={"en": "en-GB", "zh": "zh-CN"}[language],
        )
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.goto(f"{self._served.url}/#/{name}")
        settle(page, name, self._files)
        page.screenshot(path=path, type="jpeg", quality=QUALITY)
        context.close()


def main() -> None:
    """Take them all."""
    everything = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        files = photos(Path(folder))
        with real_bridge(Path(folder) / "home") as served:
            a_mornings_work(served, files)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            studio = Studio(browser, served, files)
            for name in PAGES:
                if everything:
                    for theme in ("light", "dark"):
                        for language, width in (("en", "wide"), ("en", "phone"), ("zh", "wide")):
                            size = WIDE if width == "wide" else PHONE
                            studio.shoot(
                                *(name, theme, language, size),
                                everything / f"{name}-{theme}-{language}-{width}.jpg",
                            )
                else:
                    theme, language = DOCS[name]
                    other = "dark" if theme == "light" else "light"
                    images = ROOT / "docs" / "images"
                    studio.shoot(name, theme, language, WIDE, images / f"console-{name}.jpg")
                    studio.shoot(name, other, language, PHONE, images / f"console-{name}-phone.jpg")
            browser.close()


if __name__ == "__main__":
    main()
