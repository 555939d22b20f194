from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weights.recipe.degrade import LEVELS, NOTHING, Degradation, degrade, sampled, scaled, target


def face(side: int = 64, seed: int = 0) -> np.ndarray:
    """Smooth shapes with an edge and some texture, in [0, 1]."""
    y, x = np.mgrid[:side, :side] / side
    picture = np.stack([x, y, (x + y) / 2], axis=2) * 0.6 + 0.2
    picture[side // 4 : side // 2, side // 4 : side // 2] = 0.9
    return np.clip(picture + np.random.default_rng(seed).normal(0, 0.02, picture.shape), 0, 1).astype(
        np.float32
    )


def error(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.sqrt(np.mean((first - second) ** 2)))


def test_nothing_changes_nothing() -> None:
    np.testing.assert_array_equal(degrade(face(), NOTHING, np.random.default_rng(0)), face())


def test_each_level_is_worse_than_the_one_before() -> None:
    errors = [error(face(), degrade(face(), how, np.random.default_rng(0))) for how in LEVELS.values()]
    assert errors == sorted(errors)
    assert errors[0] > 0.005


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_what_is_sampled_can_be_applied_and_repeated(seed: int) -> None:
    how = sampled(np.random.default_rng(seed))
    photo = face()
    before = photo.copy()
    first = degrade(photo, how, np.random.default_rng(seed))
    assert first.shape == photo.shape
    assert first.dtype == np.float32
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_array_equal(first, degrade(photo, how, np.random.default_rng(seed)))
    np.testing.assert_array_equal(photo, before)


@pytest.mark.parametrize("shape", ["gaussian", "disc", "motion"])
def test_a_blur_keeps_brightness_and_spreads_as_far_as_its_sigma_says(shape: str) -> None:
    point = np.zeros((65, 65, 3), np.float32)
    point[32, 32] = 1
    spread = degrade(point, Degradation(blur=2.0, shape=shape), np.random.default_rng(0))[..., 0]
    assert spread.sum() == pytest.approx(1, abs=1e-3)
    y, x = np.mgrid[:65, :65] - 32
    along = float(np.sqrt((spread * x**2).sum() / spread.sum()))
    across = float(np.sqrt((spread * y**2).sum() / spread.sum()))
    assert along == pytest.approx(2.0, rel=0.12)
    if shape == "motion":
        assert across < 0.7
    else:
        assert across == pytest.approx(along, rel=0.02)


def test_noise_has_the_sigma_asked_for_and_shot_noise_grows_with_light() -> None:
    flat = np.full((200, 200, 3), 0.5, np.float32)
    random = np.random.default_rng(1)
    assert np.std(degrade(flat, Degradation(noise=8), random)) * 255 == pytest.approx(8, rel=0.03)
    dark, light = (degrade(flat * level, Degradation(noise=8, shot=1), random) for level in (0.4, 1.4))
    assert light.std() > 1.5 * dark.std()


def test_gray_is_gray_in_question_and_answer() -> None:
    how = Degradation(gray=True, noise=5, jpeg=80)
    for picture in (degrade(face(), how, np.random.default_rng(0)), target(face(), how)):
        assert np.ptp(picture, axis=2).max() < 1e-6


def test_old_prints_fade_and_are_scratched() -> None:
    faded = degrade(face(), Degradation(fading=0.6), np.random.default_rng(0))
    assert np.ptp(faded) < np.ptp(face())
    assert np.ptp(faded, axis=2).mean() < np.ptp(face(), axis=2).mean() + 0.1
    scratched = degrade(face(), Degradation(scratches=3), np.random.default_rng(0))
    assert 0.01 < np.mean(np.abs(scratched - face()).max(axis=2) > 0.05) < 0.5


def test_a_level_scaled_to_a_larger_face_loses_the_same_share_of_it() -> None:
    twice = scaled(LEVELS["medium"], 2)
    assert (twice.blur, twice.shrink, twice.noise) == (3.0, 4.0, 6)
    assert scaled(LEVELS["medium"], 0.25).shrink == 1
