"""Every reader of strangers' bytes, fed with damaged ones; `python -m benchmarks.fuzz` is the long form."""

from __future__ import annotations

from random import Random

import pytest

from benchmarks.fuzz.damage import damaged, drawn
from benchmarks.fuzz.targets import TARGETS, Target
from bridge.errors import BridgeError


@pytest.mark.filterwarnings("ignore::RuntimeWarning:aiohttp.multipart")  # of a bad header, for the log
@pytest.mark.parametrize(
    "name",
    TARGETS,
)
def test_damaged_bytes_are_read_or_refused_by_name(name: str) -> None:
    target, random = TARGETS[name], Random(name)  # noqa: S311 - to be repeated
    sound = target.seeds()
    read = [_is_read(target, data) for data in sound]
    assert any(read)  # or the damaged ones would only show that nothing is
    for _ in range(target.examples):
        _is_read(target, target.mend(damaged(random.choice(sound), drawn(random), random.choice(sound))))


def _is_read(target: Target, data: bytes) -> bool:
    try:
        target.run(data)
    except BridgeError:
        return False
    return True
