from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from bridge.errors import DetectorUnavailable
from bridge.faces.detect import Detector
from bridge.imaging.image import Image


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


EYES_AND_MOUTH = np.array([[203, 103], [245, 105], [221, 126], [203, 142], [240, 144]], float)
"""Where the portrait's five landmarks lie, read off the picture by eye."""


def turned(points: np.ndarray, turns: int, side: int) -> np.ndarray:
    """Points of a square picture after np.rot90(picture, turns)."""
    for _ in range(turns):
        points = np.stack([points[:, 1], side - 1 - points[:, 0]], axis=1)
    return points


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_the_face_is_found_whichever_way_it_lies(
    detector: Detector, portrait: np.ndarray, turns: int
) -> None:
    faces = detector.detect(Image(np.ascontiguousarray(np.rot90(portrait, turns))))
    assert len(faces) == 1
    expected = turned(EYES_AND_MOUTH, turns, 512)
    assert np.linalg.norm(faces[0].landmarks - expected, axis=1).max() < 6
    assert 80 < faces[0].size < 130


@pytest.mark.parametrize(("dtype", "white"), [(np.uint16, 65535), (np.float32, 1.0)])
def test_every_depth_finds_the_same_face(
    detector: Detector, portrait: np.ndarray, dtype: type, white: float
) -> None:
    eight = detector.detect(Image(portrait))[0]
    other = detector.detect(Image((portrait / 255 * white).astype(dtype)))[0]
    np.testing.assert_allclose(other.landmarks, eight.landmarks, atol=0.5)


def test_gray_and_alpha_do_not_hide_a_face(detector: Detector, portrait: np.ndarray) -> None:
    gray = portrait.mean(axis=2, keepdims=True).astype(np.uint8)
    with_alpha = np.concatenate([portrait, np.full((512, 512, 1), 255, np.uint8)], axis=2)
    assert len(detector.detect(Image(gray))) == 1
    assert len(detector.detect(Image(with_alpha))) == 1


def test_a_group_of_small_faces_in_a_large_photo(detector: Detector, portrait: np.ndarray) -> None:
    person = cv2.resize(portrait[:260, 100:340], (120, 130), interpolation=cv2.INTER_AREA)
    photo = np.full((1600, 2400, 3), 128, np.uint8)
    places = [(40 + 300 * row, 40 + 225 * column) for row in range(5) for column in range(10)][:29]
    for y, x in places:
        photo[y : y + 130, x : x + 120] = person
    faces = detector.detect(Image(photo))
    assert len(faces) == 29
    noses = np.array([face.landmarks[2] for face in faces])
    for y, x in places:
        assert np.linalg.norm(noses - (x + 60, y + 63), axis=1).min() < 8


def test_a_large_photo_of_one_face_has_one_face(detector: Detector, portrait: np.ndarray) -> None:
    faces = detector.detect(Image(cv2.resize(portrait, (4000, 4000), interpolation=cv2.INTER_CUBIC)))
    assert len(faces) == 1
    assert np.linalg.norm(faces[0].landmarks / (4000 / 512) - EYES_AND_MOUTH, axis=1).max() < 6


def test_nobody_is_an_empty_list_and_limits_hold(detector: Detector, portrait: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert detector.detect(Image(noise)) == []
    assert detector.detect(Image(noise[:1, :1])) == []
    assert detector.detect(Image(portrait), min_size=200) == []
    assert detector.detect(Image(portrait), min_score=0.99) == []


@pytest.mark.parametrize("shape", [(1, 5000, 3), (5000, 3, 3), (1999, 2999, 1)])
def test_any_shape_can_be_looked_at(detector: Detector, shape: tuple[int, int, int]) -> None:
    assert detector.detect(Image(np.full(shape, 90, np.uint8))) == []


def test_a_face_too_small_for_the_first_look_is_seen_closely(
    detector: Detector, portrait: np.ndarray
) -> None:
    """36 pixels of 6,000: 4 in the first look, 10 in the second."""
    person = cv2.resize(portrait[:260, 100:340], None, fx=0.36, fy=0.36, interpolation=cv2.INTER_AREA)
    photo = np.full((4000, 6000, 3), 128, np.uint8)
    photo[1000:1094, 3000:3086] = person
    for odd in (0, 1):
        faces = detector.detect(Image(photo[odd:, odd:]))
        assert len(faces) == 1
        nose = (EYES_AND_MOUTH[2] - (100, 0)) * 0.36 + (3000, 1000) - odd
        assert np.linalg.norm(faces[0].landmarks[2] - nose) < 3
        assert 28 < faces[0].size < 50
        assert faces[0].score >= 0.6


def test_a_portrait_costs_no_more_pixels_than_it_must(
    detector: Detector, portrait: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts what YuNet is shown of 24 megapixels: time would depend on the machine."""
    shown = []
    rows = Detector._rows

    def counting(self: Detector, pixels: np.ndarray, min_score: float) -> np.ndarray:
        shown.append(pixels.shape[0] * pixels.shape[1])
        return rows(self, pixels, min_score)

    monkeypatch.setattr(Detector, "_rows", counting)
    photo = cv2.resize(portrait[:341], (6000, 4000), interpolation=cv2.INTER_CUBIC)
    assert len(detector.detect(Image(photo))) == 1
    coarse, fine, tiles = 4 * 640 * 427, 1600 * 1067, 6 * 224 * 224
    assert sum(shown) < 1.05 * (coarse + fine + tiles)


def test_faces_come_largest_first(detector: Detector, portrait: np.ndarray) -> None:
    small = cv2.resize(portrait, (256, 256), interpolation=cv2.INTER_AREA)
    photo = np.full((512, 800, 3), 90, np.uint8)
    photo[100:356, :256], photo[:, 288:] = small, portrait
    sizes = [face.size for face in detector.detect(Image(photo))]
    assert len(sizes) == 2
    assert sizes == sorted(sizes, reverse=True)


def test_points_stay_put_when_the_photo_is_made_worse(detector: Detector, portrait: np.ndarray) -> None:
    clean = detector.detect(Image(portrait))[0].landmarks
    rng = np.random.default_rng(1)
    worse = cv2.GaussianBlur(portrait, (0, 0), 2.0) + rng.normal(0, 8, portrait.shape)
    moved = detector.detect(Image(np.clip(worse, 0, 255).astype(np.uint8)))[0].landmarks
    eye_distance = np.linalg.norm(clean[1] - clean[0])
    assert np.linalg.norm(moved - clean, axis=1).mean() / eye_distance < 0.06


def test_a_missing_or_broken_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(DetectorUnavailable, match="not installed"):
        Detector(tmp_path / "absent.onnx")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    with pytest.raises(DetectorUnavailable, match="cannot be read"):
        Detector(broken)
