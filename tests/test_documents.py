"""What people read holds together: links lead somewhere, and no merge left its marks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("docs", "weights", "plugins", "tests/golden", "benchmarks", "deploy")
DOCUMENTS = sorted(
    path
    for path in (*ROOT.glob("*.md"), *(one for folder in FOLDERS for one in (ROOT / folder).rglob("*.md")))
    if "node_modules" not in path.parts
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)(?:#[^)]*)?\)|src=\"([^\"]+)\"")
MERGE = re.compile(r"^(<{7} |={7}$|>{7} )", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere_and_no_merge_left_its_marks(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert not MERGE.search(text)
    targets = [inline or source for inline, source in LINK.findall(text)]
    local = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    assert [target for target in local if not (document.parent / target).exists()] == []
