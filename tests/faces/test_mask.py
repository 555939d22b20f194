from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.faces.align import TEMPLATES
from bridge.faces.mask import FRAME, feather_mask, skin_map


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@pytest.mark.parametrize("side", [64, 256, 512])
def test_the_mask_covers_the_face_and_ends_inside_the_crop(template: str, side: int) -> None:
    landmarks = TEMPLATES[template] * side
    mask = feather_mask(landmarks, side)
    for x, y in landmarks:
        assert mask[int(y), int(x)] > 0.95
    edge = int(FRAME * side)
    for border in (mask[:edge], mask[-edge:], mask[:, :edge], mask[:, -edge:]):
        assert border.max() == 0
    assert mask.dtype == np.float32
    assert 0.08 < mask.mean() < 0.55


@given(
    moved=st.lists(st.tuples(st.floats(-12, 12), st.floats(-12, 12)), min_size=5, max_size=5),
    angle=st.floats(-0.6, 0.6),
)
def test_the_mask_is_smooth_and_never_reaches_the_edge_for_any_face(
    moved: list[tuple[float, float]], angle: float
) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    landmarks = (TEMPLATES["ffhq_512"] * 128 - 64) @ turn.T + 64 + np.array(moved)
    mask = feather_mask(landmarks, 128)
    assert np.isfinite(mask).all()
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert max(mask[0].max(), mask[-1].max(), mask[:, 0].max(), mask[:, -1].max()) == 0
    # No step: the steepest place of the ramp stays a ramp.
    assert max(np.abs(np.diff(mask, axis=0)).max(), np.abs(np.diff(mask, axis=1)).max()) < 0.25


def test_a_turned_face_moves_the_mask_to_the_cheek_that_is_seen() -> None:
    frontal = TEMPLATES["ffhq_512"] * 256
    turned = frontal.copy()
    turned[2, 0] -= 20  # the nose points left: the right cheek is seen
    columns = np.arange(256)
    centre = [(feather_mask(points, 256).sum(axis=0) @ columns) for points in (frontal, turned)]
    weight = [feather_mask(points, 256).sum() for points in (frontal, turned)]
    assert centre[1] / weight[1] > centre[0] / weight[0] + 5


def test_skin_is_where_no_feature_is() -> None:
    landmarks = TEMPLATES["ffhq_512"] * 256
    skin = skin_map(landmarks, 256)
    for x, y in landmarks:
        assert skin[int(y), int(x)] < 0.35
    forehead = landmarks[:2].mean(axis=0) - (0, 45)
    cheek = landmarks[3] - (25, 12)
    for x, y in (forehead, cheek):
        assert skin[int(y), int(x)] > 0.9
