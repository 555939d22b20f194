"""How soon the console is there: `python -m benchmarks.console`.

First contentful paint of the console beside that of a bare answer of the same bridge, cold, in turns.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.console.conftest import ARGUMENTS, CHROMIUM, Served

ROUNDS = 9
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"


def first_paint(browser: Browser, address: str) -> float:
    """Milliseconds in a browser that knows nothing yet."""
    context = browser.new_context()
    page: Any = context.new_page()
    page.goto(address)
    page.wait_for_function(PAINT)
    took = float(page.evaluate(PAINT))
    context.close()
    return took


def main() -> None:
    """Print medians and their ratio."""
    served = Served(Path(tempfile.mkdtemp()))
    served.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            pairs = [
                (first_paint(browser, served.url), first_paint(browser, f"{served.url}/v1/health"))
                for _ in range(ROUNDS)
            ]
            browser.close()
    finally:
        served.stop()
    console, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    slowest = max(pair[0] for pair in pairs)
    print(f"first paint: console {console:.0f} ms (slowest {slowest:.0f}), bare answer {bare:.0f} ms")
    print(f"ratio {console / bare:.1f}")


if __name__ == "__main__":
    main()
