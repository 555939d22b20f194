from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import bridge.faces.blend as blending
from bridge.faces.align import TEMPLATES, align, similarity
from bridge.faces.blend import Patch, blend, coverage, layers
from bridge.faces.face import Face
from bridge.faces.mask import feather_mask

DTYPES = {np.uint8: 255.0, np.uint16: 65535.0, np.float32: 1.0}


def patch_at(
    centre: tuple[float, float],
    size: float,
    *,
    angle: float = 0.0,
    channels: int = 3,
    weight: float = 1.0,
    value: float = 0.1,
    side: int = 64,
) -> Patch:
    """A face of about `size` pixels around `centre` whose residual is the constant `value`."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    template = TEMPLATES["ffhq_512"] * side
    photo = (template - template.mean(axis=0)) * (size / side) @ turn.T + centre
    transform = similarity(photo, template)
    return Patch(
        np.full((side, side, channels), value, np.float32), feather_mask(template, side), transform, weight
    )


def noise(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random(shape)
    if dtype is np.float32:
        return values.astype(np.float32)
    return (values * DTYPES[dtype]).astype(dtype)


faces = st.tuples(
    st.tuples(st.floats(-20, 140), st.floats(-20, 120)), st.floats(12, 200), st.floats(-3.1, 3.1)
)


@settings(max_examples=40)
@example(chosen=[((0.0, 0.0), 12.0, 0.0)], height=6, width=1, channels=1, dtype=np.uint16)
@given(
    chosen=st.lists(faces, max_size=4),
    height=st.integers(1, 110),
    width=st.integers(1, 130),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from(list(DTYPES)),
)
def test_outside_every_mask_the_photo_is_bit_identical(
    chosen: list, height: int, width: int, channels: int, dtype: type
) -> None:
    photo = noise((height, width, channels), dtype)
    before = photo.copy()
    patches = [patch_at(centre, size, angle=angle, channels=channels) for centre, size, angle in chosen]
    result = blend(photo, patches)
    untouched = np.ones((height, width), bool)
    for patch in patches:
        # Measured here without the code under test: the crop's coordinates of every pixel.
        grid = np.stack(np.meshgrid(np.arange(float(width)), np.arange(float(height))), axis=2)
        place = patch.transform.apply(grid.reshape(-1, 2)).reshape(height, width, 2)
        # A photo pixel averages over its own area of the crop and its neighbours'.
        reach = 2 * int(np.ceil(2 * max(1, patch.transform.scale))) + 3
        # Of a small face that area may begin inside the crop and end outside, hence the border.
        support = np.pad((patch.mask > 0).astype(np.uint8), reach)
        support = cv2.dilate(support, np.ones((reach, reach), np.uint8))
        x, y = np.moveaxis(place + reach, 2, 0).astype(np.float32)
        mapped = cv2.remap(support, x, y, cv2.INTER_LINEAR)
        untouched &= mapped == 0
    assert result.dtype == photo.dtype
    np.testing.assert_array_equal(result[untouched], photo[untouched])
    np.testing.assert_array_equal(photo, before)


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_weight_nothing_and_residual_nothing_change_nothing(dtype: type) -> None:
    photo = noise((90, 120, 3), dtype)
    np.testing.assert_array_equal(blend(photo, [patch_at((60, 45), 60, weight=0)]), photo)
    np.testing.assert_array_equal(blend(photo, [patch_at((60, 45), 60, value=0)]), photo)
    np.testing.assert_array_equal(blend(photo, []), photo)


@pytest.mark.parametrize("size", [20, 64, 150, 700])
def test_a_constant_residual_arrives_whole_at_every_scale(size: float) -> None:
    photo = np.full((900, 900, 3), 20000, np.uint16)
    result = blend(photo, [patch_at((450, 450), size, angle=0.4)])
    assert int(result[450, 450, 0]) == pytest.approx(20000 + 0.1 * 65535, abs=2)
    assert result.min() == 20000
    assert result.max() <= 20000 + 0.1 * 65535 + 1


def test_the_photos_finer_detail_stays_on_a_face_larger_than_the_network() -> None:
    photo = noise((800, 800, 3), np.uint16)
    face = Face((100, 100, 700, 700), TEMPLATES["ffhq_512"] * 700 + 50)
    crop = align(photo, face, "ffhq_512", 64)
    smooth = cv2.GaussianBlur(crop.pixels, (0, 0), 3)  # a network that removes all detail it can see
    patch = Patch(smooth - crop.pixels, feather_mask(crop.landmarks, 64), crop.transform)
    result = blend(photo, [patch]).astype(float) / 65535

    def fine(values: np.ndarray) -> np.ndarray:
        return (values - cv2.GaussianBlur(values, (0, 0), 3))[300:500, 300:500]

    before, after = fine(photo / 65535), fine(result)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99
    assert after.std() > 0.97 * before.std()


def test_neighbours_share_and_never_add_up() -> None:
    photo = np.zeros((120, 160, 3), np.float32)
    patches = [patch_at((70, 60), 90), patch_at((95, 60), 90)]
    together = blend(photo, patches)
    alone = np.maximum(blend(photo, patches[:1]), blend(photo, patches[1:]))
    assert together.max() <= 0.1 + 1e-6
    assert np.all(together <= alone + 1e-6)
    np.testing.assert_array_equal(together, blend(photo, patches[::-1]))


@pytest.mark.parametrize("dtype", list(DTYPES))
@pytest.mark.parametrize("weights", [(0.35, 0.35), (1.0, 1.0), (0.9, 0.3)])
def test_a_client_that_composes_the_layers_gets_the_composite(
    dtype: type, weights: tuple[float, float]
) -> None:
    photo = noise((120, 160, 3), dtype)
    patches = [
        patch_at((70, 60), 90, weight=weights[0]),
        patch_at((105, 60), 80, weight=weights[1], value=-0.05),
    ]
    image, mask = layers(photo, patches)
    share = mask.astype(float) / DTYPES[dtype] * max(weights)
    composed = photo * (1 - share) + image * share
    # Near black and white the layer is clipped before it is mixed, the composite after.
    inside = np.all((image > 0) & (image < DTYPES[dtype]), axis=2)
    difference = np.abs(composed - blend(photo, patches).astype(float))[inside]
    assert difference.max() <= (1e-5 if dtype is np.float32 else 1.6)
    if len(set(weights)) == 1:
        np.testing.assert_array_equal(mask, coverage(photo, patches))
    np.testing.assert_array_equal(image[mask[..., 0] == 0], photo[mask[..., 0] == 0])


def test_the_height_of_the_strips_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    photo = noise((300, 300, 3), np.uint8)
    patches = [patch_at((150, 150), 260, angle=0.3), patch_at((200, 120), 90)]
    whole = blend(photo, patches)
    monkeypatch.setattr(blending, "STRIP", 37)
    np.testing.assert_allclose(blend(photo, patches).astype(int), whole.astype(int), atol=1)


@settings(max_examples=30)
@given(size=st.floats(60, 400), angle=st.floats(-3.1, 3.1), dtype=st.sampled_from(list(DTYPES)))
def test_what_a_mask_never_shows_is_not_needed(size: float, angle: float, dtype: type) -> None:
    """The rest stays where it was, but for how it falls on the photo's pixels."""
    whole = patch_at((60, 50), size, angle=angle, side=256)
    waves = np.sin(np.arange(256, dtype=np.float32) / 24)
    residual = 0.3 * (waves[:, None, None] + waves[None, :, None]) * np.ones(3, np.float32)
    whole = Patch(residual, whole.mask, whole.transform, 0.7)
    compact = whole.compact()
    assert compact.residual.size < 0.6 * whole.residual.size
    photo = np.full((100, 120, 3), DTYPES[dtype] / 2, dtype)
    for paint in (blend, coverage):
        difference = np.abs(paint(photo, [compact]).astype(float) - paint(photo, [whole]).astype(float))
        # Half a pixel of what a mask may rise by, and the smaller a face, the steeper is its mask.
        assert difference.max() <= (0.02 + 0.6 / size) * DTYPES[dtype]


@settings(max_examples=30)
@given(size=st.floats(24, 200), angle=st.floats(-3.1, 3.1), side=st.sampled_from([256, 512]))
def test_a_face_is_kept_no_finer_than_the_photo(size: float, angle: float, side: int) -> None:
    whole = patch_at((60, 50), size, angle=angle, side=side)
    compact = whole.compact()
    assert max(compact.mask.shape) <= 1.1 * size + 12
    assert compact.residual.shape == (*compact.mask.shape, 3)
    assert compact.at_scale() is compact, "brought to scale once"
