from __future__ import annotations

import cv2
import numpy as np
import pytest

from bridge.faces.align import TEMPLATES
from bridge.faces.bands import LUMA, residual
from bridge.faces.mask import feather_mask, skin_map
from bridge.presets import Mode

SIDE = 256
LANDMARKS = TEMPLATES["ffhq_512"] * SIDE
FACE = feather_mask(LANDMARKS, SIDE) > 0.9


def skin_photo(seed: int = 0, grain: float = 0.012) -> np.ndarray:
    """A skin-coloured crop with slow shading, rosy patches and grain."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    shading = 0.08 * np.sin(3 * x) + 0.06 * y
    rng = np.random.default_rng(seed)
    photo = np.array([0.72, 0.55, 0.46]) + shading[..., None] + rng.normal(0, grain, (SIDE, SIDE, 1))
    rosy = 0.07 * np.sin(11 * x) * np.cos(13 * y)
    return (photo + rosy[..., None] * (1, -0.3, 0.2)).astype(np.float32)


@pytest.mark.parametrize("mode", list(Mode))
def test_a_network_that_changes_nothing_adds_nothing(mode: Mode) -> None:
    photo = skin_photo()
    np.testing.assert_allclose(residual(photo, photo, LANDMARKS, mode), 0, atol=1e-6)


def test_strong_takes_everything() -> None:
    photo = skin_photo()
    restored = np.clip(photo + np.random.default_rng(1).normal(0, 0.02, photo.shape), 0, 1).astype(np.float32)
    np.testing.assert_allclose(photo + residual(photo, restored, LANDMARKS, Mode.strong), restored, atol=1e-6)


@pytest.mark.parametrize("mode", [Mode.natural, Mode.detail])
def test_the_photo_keeps_its_own_colour_and_brightness(mode: Mode) -> None:
    photo = skin_photo()
    tinted = photo + np.array([0.05, -0.02, -0.04], np.float32)
    change = residual(photo, tinted, LANDMARKS, mode)
    assert np.abs(change[FACE].mean(axis=0)).max() < 0.004
    strong = residual(photo, tinted, LANDMARKS, Mode.strong)
    np.testing.assert_allclose(strong[FACE].mean(axis=0), (0.05, -0.02, -0.04), atol=0.003)


def test_natural_keeps_a_mole_that_the_network_removed() -> None:
    clean = cv2.GaussianBlur(skin_photo(), (0, 0), 3)
    photo = skin_photo()
    mole = np.zeros((SIDE, SIDE), np.float32)
    x, y = LANDMARKS[3] - (22, 14)
    cv2.circle(mole, (round(x), round(y)), 3, 1.0, -1)
    mole = cv2.GaussianBlur(mole, (0, 0), 0.8)[..., None] * np.float32(0.2)
    change = {mode: residual(photo - mole, clean, LANDMARKS, mode) for mode in Mode}
    place = mole[..., 0] > 0.15

    def left(mode: Mode) -> float:
        """Share of the mole's contrast that is still there."""
        after = (photo - mole + change[mode]) @ LUMA
        ring = (cv2.dilate(mole[..., 0], np.ones((15, 15))) > 0.01) & (mole[..., 0] < 0.005)
        return float(after[ring].mean() - after[place].mean()) / 0.19

    assert left(Mode.natural) > 0.75
    assert left(Mode.strong) < 0.2


@pytest.mark.parametrize("side", [SIDE, 2 * SIDE])
def test_what_becomes_clearer_on_skin_is_no_texture_that_went(side: int) -> None:
    landmarks = LANDMARKS * (side / SIDE)
    sharp = np.full((side, side, 3), 0.6, np.float32)
    x, y = np.rint(landmarks[3] - (0, 0.09 * side)).astype(int)
    cv2.line(sharp, (x - side // 16, y), (x, y + side // 16), (0.45, 0.4, 0.38), side // 128, cv2.LINE_AA)
    soft = cv2.GaussianBlur(sharp, (0, 0), side / 100)
    whole, own = (residual(soft, sharp, landmarks, mode) for mode in (Mode.detail, Mode.natural))
    fold = (np.abs(whole).max(axis=2) > 0.03) & (skin_map(landmarks, side) > 0.8)
    assert fold.sum() > side / 8
    np.testing.assert_allclose(own[fold], whole[fold], atol=0.01)


def test_natural_skin_keeps_some_of_the_photos_own_grain() -> None:
    photo = skin_photo(grain=0.02)
    smooth = cv2.GaussianBlur(photo, (0, 0), 4)
    skin = (skin_map(LANDMARKS, SIDE) > 0.95) & FACE

    def grain(mode: Mode) -> float:
        after = photo + residual(photo, smooth, LANDMARKS, mode)
        fine = after - cv2.GaussianBlur(after, (0, 0), 2)
        return float(fine[skin].std())

    own = float((photo - cv2.GaussianBlur(photo, (0, 0), 2))[skin].std())
    assert 0.25 * own < grain(Mode.natural) < 0.7 * own
    assert grain(Mode.strong) < 0.1 * own


@pytest.mark.parametrize("mode", list(Mode))
def test_a_hand_in_front_of_the_face_is_kept(mode: Mode) -> None:
    restored = skin_photo(grain=0)
    photo = restored.copy()
    hand = (slice(150, 215), slice(70, 190))
    photo[hand] = np.array([0.16, 0.1, 0.08], np.float32)
    after = photo + residual(photo, restored, LANDMARKS, mode)
    middle = (slice(168, 197), slice(95, 165))
    assert np.abs(after[middle] - photo[middle]).max() < 0.03


def veil() -> np.ndarray:
    """A net of dark threads, 2 pixels wide and 24 apart: S x S, 0-1."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(float)
    turned = (0.88 * x + 0.48 * y, 0.88 * y - 0.48 * x)
    threads = [np.clip(1.5 - np.abs(along % 24 - 12), 0, 1) for along in turned]
    return 0.7 * np.maximum(*threads)[..., None]


def strands() -> np.ndarray:
    """Four hairs across the face, 2 pixels wide: S x S, 0-1."""
    drawn = np.zeros((SIDE, SIDE), np.float32)
    for start, end in ((90, 130), (120, 100), (150, 170), (135, 190)):
        cv2.line(drawn, (start, 40), (end, 220), 1.0, 2, cv2.LINE_AA)
    return drawn[..., None]


@pytest.mark.parametrize("mode", [Mode.natural, Mode.detail])
@pytest.mark.parametrize("obstacle", [veil(), strands()], ids=["veil", "strands"])
def test_a_veil_and_hair_in_front_of_the_face_are_kept(mode: Mode, obstacle: np.ndarray) -> None:
    restored = skin_photo(grain=0)  # a network that saw through it
    photo = (restored * (1 - obstacle) + obstacle * np.float32([0.1, 0.06, 0.05])).astype(np.float32)
    after = photo + residual(photo, restored, LANDMARKS, mode)
    threads = (obstacle[..., 0] > 0.6) & FACE
    contrast = [float((restored - picture)[threads].mean()) for picture in (after, photo)]
    assert contrast[0] > 0.8 * contrast[1]


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("scale", [1, 2, 3])
def test_noise_and_compression_are_not_taken_for_a_veil(mode: Mode, scale: int, portrait: np.ndarray) -> None:
    clean = portrait[20:220, 120:320]
    worse = cv2.resize(clean, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
    worse = worse + np.random.default_rng(3).normal(0, 15, worse.shape)
    worse = cv2.imdecode(cv2.imencode(".jpg", np.clip(worse, 0, 255), [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1)
    photo, restored = (
        cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).astype(np.float32) / 255
        for picture in (worse, clean)
    )
    change = residual(photo, restored, LANDMARKS, mode)
    wanted = restored - photo
    on_eyes = np.s_[105:140, 80:176]
    fine = wanted - cv2.GaussianBlur(wanted, (0, 0), 8)
    assert (change * fine)[on_eyes].sum() > 0.8 * (fine * fine)[on_eyes].sum()


@pytest.mark.parametrize("mode", list(Mode))
def test_gray_stays_gray(mode: Mode) -> None:
    photo = np.repeat(skin_photo()[..., :1], 3, axis=2)
    restored = np.clip(photo + np.random.default_rng(2).normal(0, 0.03, photo.shape), 0, 1)
    change = residual(photo, restored.astype(np.float32), LANDMARKS, mode)
    np.testing.assert_allclose(change[..., 0], change[..., 1], atol=2e-6)
    np.testing.assert_allclose(change[..., 0], change[..., 2], atol=2e-6)
    assert np.abs(change).max() > 0.005


@pytest.mark.parametrize("mode", list(Mode))
def test_sepia_stays_on_its_own_tone(mode: Mode) -> None:
    luma = skin_photo(grain=0.03)[..., 0]
    sepia = np.stack([luma, luma * 0.86 + 0.02 * luma**2, luma * 0.7], axis=2).astype(np.float32)
    restored = np.clip(cv2.GaussianBlur(sepia, (0, 0), 2) + np.float32([0.03, 0.0, -0.05]), 0, 1)
    after = sepia + residual(sepia, restored, LANDMARKS, mode)
    tone = np.polynomial.Polynomial.fit((sepia @ LUMA).ravel(), sepia[..., 2].ravel(), 2)
    assert np.abs(after[..., 2] - tone(after @ LUMA)).max() < 0.012
    assert np.abs(after - sepia).max() > 0.01


@pytest.mark.parametrize("mode", list(Mode))
def test_a_crop_of_one_flat_colour_is_no_trouble(mode: Mode) -> None:
    flat = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    change = residual(flat, flat + np.float32(0.1), LANDMARKS, mode)
    assert np.isfinite(change).all()
