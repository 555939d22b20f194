"""docs/reliability.md tells the truth: its tests exist, and no promise or line is without one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
NAMED = re.compile(r"`(tests/[\w/.]+\.py)::(\w+)`")


def rows(section: str) -> list[str]:
    """The rows of a section's table, without its head."""
    return [line for line in SECTIONS[section].splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(PAGE))))
def test_each_named_test_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("section", "count"), [("The promises", 11), ("The security checklist", 18)])
def test_each_line_has_a_test(section: str, count: int) -> None:
    numbers = [int(row[2:].partition(".")[0]) for row in rows(section)]
    assert numbers == list(range(1, count + 1))
    assert all(NAMED.search(row) for row in rows(section))


def test_each_stroke_of_bad_luck_has_a_test() -> None:
    assert len(rows("Bad luck")) >= 10
    assert all(NAMED.search(row) for row in rows("Bad luck"))


def test_a_promise_says_how_often_it_was_tried_and_what_came_of_it() -> None:
    for row in rows("The promises"):
        promise, tests, tries, result = (cell.strip() for cell in row.strip("|").split(" | "))
        assert all((promise, tests, tries, result))


def test_each_long_form_is_there() -> None:
    modules = set(re.findall(r"python -m (benchmarks\.\w+)", PAGE))
    assert {"benchmarks.torture", "benchmarks.fuzz", "benchmarks.contract", "benchmarks.load"} <= modules
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
