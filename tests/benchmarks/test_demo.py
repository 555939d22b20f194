from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import demo


def test_a_photo_that_cannot_be_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"gone\.jpg cannot be read: No such file"):
        demo.own(tmp_path / "gone.jpg")
    (tmp_path / "notes.jpg").write_text("milk, bread")
    with pytest.raises(SystemExit, match=r"notes\.jpg: .*JPEG"):
        demo.own(tmp_path / "notes.jpg")
