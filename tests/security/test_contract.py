"""Every operation of the contract, asked rightly and wrongly: each answer is one that it describes.

The short form of `python -m benchmarks.contract`, the same questions each time.
"""

from __future__ import annotations

import pytest

from benchmarks.contract import NOT_ASKED, attack, bridge, contract


@pytest.mark.slow
def test_the_bridge_keeps_its_contract() -> None:
    with bridge() as running:
        told = attack(running.url, running.token, examples=2, chance=1)
    assert told.total() > 100
    assert not [status for status in told if status >= "500"], told


def test_nothing_is_left_out_but_what_has_tests_of_its_own() -> None:
    known = {(found.ok().method.upper(), found.ok().path) for found in contract().get_all_operations()}
    assert known >= NOT_ASKED
    assert len(known) - len(NOT_ASKED) > 40
