from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.endtoend import report
from benchmarks.endtoend.rows import Figure


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEPT", "TOLD", "DRAWN"):
        monkeypatch.setattr(report, name, tmp_path / name)


def test_a_row_is_kept_told_and_drawn_and_others_stay() -> None:
    met = Figure("one thing <fast>", 1.0, 2.0, "s", {"part": 0.25})
    missed = Figure("another", 30.0, 20.0, "%")
    report.keep("first", [asdict(met)])
    report.keep("second", [asdict(missed)])
    report.keep("first", [asdict(met)])
    kept = json.loads(report.KEPT.read_text())
    assert list(kept["rows"]) == ["first", "second"]
    page = report.TOLD.read_text()
    assert "| one thing <fast> | 50% | 1 s | 2 s |" in page
    assert "| another | **150%** | 30 % | 20 % |" in page
    assert "| first | part | 0.25 |" in page
    chart = ElementTree.fromstring(report.DRAWN.read_text())  # noqa: S314 - our own
    texts = [node.text for node in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["one thing <fast>", "50%", "another", "150%"]


def test_what_only_grows_has_a_place_of_its_own_and_no_bar() -> None:
    report.keep("first", [asdict(Figure("one thing", 1.0, 2.0, "s"))])
    report.keep("growth", [asdict(Figure("12 MP", 3.5, None, "times", {"CPU s": 0.5, "found": 1}))])
    before, _, grows = report.TOLD.read_text().partition("## How it grows")
    assert "12 MP" not in before
    assert "| 12 MP | 3.5 times | CPU s 0.5; found 1 |" in grows
    assert "12 MP" not in report.DRAWN.read_text()
    assert Figure("", 9.0, None, "s").met


def test_only_a_ratio_that_is_clearly_worse_than_the_kept_one_has_slipped() -> None:
    def figure(value: float, unit: str = "times", target: float | None = 4.0) -> dict[str, Any]:
        return asdict(Figure("it", value, target, unit))

    assert report.slipped("row", [figure(9.0)]) == []  # nothing is kept yet
    report.keep("row", [figure(2.0)])
    assert report.slipped("row", [figure(2.4)]) == []
    assert report.slipped("row", [figure(2.6)]) == ["it: 2.6 times, kept 2"]
    assert report.slipped("row", [figure(2.6, unit="s")]) == []
    assert report.slipped("row", [figure(2.6, target=None)]) == []
    report.keep("row", [figure(-0.1)])
    assert report.slipped("row", [figure(1.2)]) == [], "far below the target, noise is no slip"
    assert report.slipped("row", [figure(1.3)]) != []


def test_a_target_is_met_up_to_it() -> None:
    assert Figure("", 2.0, 2.0, "s").met
    assert not Figure("", 2.01, 2.0, "s").met
