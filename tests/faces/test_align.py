from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import DegenerateLandmarks
from bridge.faces.align import TEMPLATES, Border, align, similarity
from bridge.faces.face import Face


def face_at(points: np.ndarray) -> Face:
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return Face((float(x0), float(y0), float(x1), float(y1)), points)


@given(
    angle=st.floats(-np.pi, np.pi),
    scale=st.floats(0.05, 20),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_similarity_recovers_any_turn_zoom_and_shift(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = TEMPLATES["ffhq_512"] * 100
    target = source @ linear.T + shift
    found = similarity(source, target)
    np.testing.assert_allclose(found.apply(source), target, atol=1e-6)
    np.testing.assert_allclose(found.inverse.apply(target), source, atol=1e-6)
    assert found.scale == pytest.approx(scale)


def test_the_official_template_has_the_published_points_at_512() -> None:
    published = [(202.04, 242.88), (309.43, 242.29), (256.08, 303.96), (211.96, 366.83), (300.89, 366.34)]
    np.testing.assert_allclose(TEMPLATES["gpen"] * 512, published, atol=0.01)


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((5, 2), 7.0), np.full((5, 2), np.nan)])
def test_points_in_one_place_are_refused(points: np.ndarray) -> None:
    with pytest.raises(DegenerateLandmarks):
        similarity(points, TEMPLATES["ffhq_512"])


@pytest.mark.parametrize("template", sorted(TEMPLATES))
@pytest.mark.parametrize("zoom", [0.2, 1.0, 3.7])
def test_landmarks_land_on_the_template(template: str, zoom: float) -> None:
    points = TEMPLATES[template] * 200 * zoom + 50
    photo = np.zeros((900, 900, 3), np.uint8)
    crop = align(photo, face_at(points), template, 256)
    np.testing.assert_allclose(crop.landmarks, TEMPLATES[template] * 256, atol=1e-6)


@pytest.mark.parametrize("zoom", [0.4, 1.0, 4.3])
def test_a_smooth_photo_is_sampled_where_the_transform_says(zoom: float) -> None:
    y, x = np.mgrid[0:1200, 0:1200]
    photo = np.stack([x / 1200, y / 1200, (x + y) / 2400], axis=2).astype(np.float32)
    points = TEMPLATES["ffhq_512"] * 200 * zoom + 120
    crop = align(photo, face_at(points), "ffhq_512", 64)
    grid = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0)), axis=2).reshape(-1, 2)
    places = crop.transform.inverse.apply(grid).reshape(64, 64, 2)
    tenth_of_a_crop_pixel = 0.1 / crop.transform.scale / 1200
    np.testing.assert_allclose(crop.pixels[..., 0], places[..., 0] / 1200, atol=tenth_of_a_crop_pixel)
    np.testing.assert_allclose(crop.pixels[..., 1], places[..., 1] / 1200, atol=tenth_of_a_crop_pixel)


def test_a_large_face_is_averaged_not_sampled() -> None:
    checks = (np.indices((1600, 1600)).sum(axis=0) % 2 * 255).astype(np.uint8)[..., None]
    crop = align(checks, face_at(TEMPLATES["ffhq_512"] * 1500 + 40), "ffhq_512", 128)
    assert np.abs(crop.pixels - 0.5).max() < 0.08


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("border", ["black", "replicate", "reflect"])
def test_beyond_the_edge_lies_what_the_network_knows(dtype: type, channels: int, border: Border) -> None:
    white = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    photo = np.full((40, 60, channels), white, dtype)
    crop = align(photo, face_at(TEMPLATES["ffhq_512"] * 100 + (30, -20)), "ffhq_512", 64, border)
    assert crop.pixels.shape == (64, 64, channels)
    assert crop.pixels.dtype == np.float32
    np.testing.assert_allclose(crop.pixels[20, 10], 1.0, atol=1e-6)
    np.testing.assert_allclose(crop.pixels[0, -1], 0.0 if border == "black" else 1.0, atol=1e-6)
