from __future__ import annotations

import pytest

from bridge.metrics import Metrics, Stages


def test_stages_add_up_and_keep_their_order() -> None:
    stages = Stages()
    for name in ("decode", "restore", "decode"):
        with stages.stage(name):
            pass
    assert list(stages.seconds) == ["decode", "restore"]
    assert all(seconds >= 0 for seconds in stages.seconds.values())


def test_a_stage_that_fails_is_still_timed() -> None:
    stages = Stages()
    with pytest.raises(ValueError, match="boom"), stages.stage("encode"):
        raise ValueError("boom")
    assert "encode" in stages.seconds


def test_two_applications_never_share_counters() -> None:
    first, second = Metrics(), Metrics()
    first.observe({"decode": 0.2}, faces=3, outcome="done")
    assert b'gpen_images_total{outcome="done"} 1.0' in first.exposition()
    assert b"gpen_faces_total 3.0" in first.exposition()
    assert b"gpen_faces_total 0.0" in second.exposition()
