"""How soon the console is there: `python -m benchmarks.console`.

First paint (the bar) and largest paint (the sign-in form: the scripts have run) of a browser that
knows nothing yet, then of one that was there before, beside a bare answer of the same bridge, in turns.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.console.conftest import ARGUMENTS, CHROMIUM, Served

ROUNDS = 9
SETTLED = 300
"""Milliseconds until the browser has told its paints."""
FIRST = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
LARGEST = """new Promise(told => new PerformanceObserver(list => told(list.getEntries().at(-1).startTime))
  .observe({type: "largest-contentful-paint", buffered: true}))"""
COLUMNS = ("first paint", "largest paint", "first paint again", "largest paint again", "bare answer")


def paints(page: Any, address: str) -> tuple[float, float]:
    """First and largest paint in milliseconds after the address was asked for."""
    page.goto(address)
    page.locator("pre, .door").wait_for()
    page.wait_for_timeout(SETTLED)
    return float(page.evaluate(FIRST)), float(page.evaluate(LARGEST))


def one_round(browser: Browser, url: str) -> tuple[float, ...]:
    """A row of `COLUMNS`."""
    context, other = browser.new_context(), browser.new_context()
    page = context.new_page()
    row = (*paints(page, url), *paints(page, url), paints(other.new_page(), f"{url}/v1/health")[0])
    context.close()
    other.close()
    return row


def main() -> None:
    """Print medians and slowest in milliseconds, and the ratio of the paints to the bare answer."""
    served = Served(Path(tempfile.mkdtemp()))
    served.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            rows = [one_round(browser, served.url) for _ in range(ROUNDS)]
            browser.close()
    finally:
        served.stop()
    columns = [sorted(column) for column in zip(*rows, strict=True)]
    bare = statistics.median(columns[-1])
    for name, column in zip(COLUMNS, columns, strict=True):
        middle = statistics.median(column)
        print(f"{name:20} {middle:5.0f} ms (slowest {column[-1]:.0f}), {middle / bare:.1f} x the bare answer")


if __name__ == "__main__":
    main()
