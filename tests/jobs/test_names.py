from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.jobs.names import MAX_PART_BYTES, numbered, safe, suffix_for


@given(st.text())
def test_every_name_becomes_one_that_every_system_takes(text: str) -> None:
    name = safe(text)
    assert name not in ("", ".", "..")
    assert not set(name) & set('<>:"|?*\\/\0\n')
    assert len(name.encode()) <= MAX_PART_BYTES + 1
    assert not name.startswith(".")
    assert name == name.rstrip(". ")
    assert safe(name) == name
    assert PurePosixPath(name).name == name


@pytest.mark.parametrize("device", ["CON", "nul.png", "Com1", "LPT9.tif"])
def test_devices_are_no_names(device: str) -> None:
    assert safe(device) == f"_{device}"


def test_names_of_any_script_stay() -> None:
    assert safe("婚礼 Müller – 1.jpg") == "婚礼 Müller – 1.jpg"


def test_suffixes_and_numbers() -> None:
    assert suffix_for("A.JPG", "image/jpeg") == ".JPG"
    assert suffix_for("a.png", "image/tiff") == ".tif"
    assert numbered(PurePosixPath("a/b.c-GPEN.tif"), 3) == PurePosixPath("a/b.c-GPEN-3.tif")
