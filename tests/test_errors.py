from __future__ import annotations

import re

import pytest

from bridge.errors import BridgeError, ImageTruncated, codes


def every_class() -> list[type[BridgeError]]:
    found, pending = [], [BridgeError]
    while pending:
        cls = pending.pop()
        found.append(cls)
        pending.extend(cls.__subclasses__())
    return found


@pytest.mark.parametrize("cls", every_class())
def test_every_error_says_what_and_what_to_do(cls: type[BridgeError]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", cls.code)
    assert cls.title
    assert not cls.title.endswith(".")
    assert cls.default_hint.endswith(".")
    assert 400 <= cls.status <= 599


def test_codes_are_unique() -> None:
    classes = [cls for cls in every_class() if cls.__module__ == "bridge.errors"]
    assert len({cls.code for cls in classes}) == len(classes) == len(codes())


def test_the_detail_is_the_occurrence_and_the_hint_can_be_better_informed() -> None:
    plain = ImageTruncated("wedding.jpg ends after 12 of 40 rows.")
    assert plain.detail == "wedding.jpg ends after 12 of 40 rows."
    assert plain.hint == ImageTruncated.default_hint
    assert ImageTruncated("x", hint="Look at the card.").hint == "Look at the card."
    assert ImageTruncated().detail == ImageTruncated.title
