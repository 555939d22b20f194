"""openapi.json and the bridge say the same; `python -m benchmarks.contract` asks more, and anew."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.conftest import OWNER, Bridge, Samples

contract = pytest.importorskip("benchmarks.contract", reason="the dev extra has schemathesis")

EXAMPLES = 2
"""For each operation and each kind of question."""


async def test_every_operation_keeps_its_word(bridge: Bridge, samples: Samples) -> None:
    asker = contract.Asker(bridge.url, OWNER, samples.png)
    await asyncio.to_thread(asker.ask_all, EXAMPLES)
    assert asker.asked > 200
    assert not asker.broken, "\n\n".join(asker.broken)
