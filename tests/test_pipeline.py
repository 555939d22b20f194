"""The pipeline with a network stood in for; the promises are in `test_promises.py`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from bridge import pipeline
from bridge.errors import BridgeError, Cancelled, DegenerateLandmarks, InvalidRequest
from bridge.faces.align import align
from bridge.faces.detect import Detector
from bridge.faces.face import Crop, Face
from bridge.imaging.codecs import Format, decode, encode
from bridge.imaging.colour import from_working, linearised, to_working
from bridge.imaging.image import Image, Metadata
from bridge.imaging.profiles import named_profile
from bridge.pipeline import CROPS_AT_ONCE, enhance, enhance_file, find_faces
from bridge.presets import Mode, Output, Parameters
from tests.stand_in import FACES_ALONE, StandIn, face, noise, tools


@pytest.mark.parametrize("slider", ["strength", "denoise", "sharpen"])
@pytest.mark.parametrize("mode", list(Mode))
def test_every_slider_does_something_at_every_step(slider: str, mode: Mode, portrait: np.ndarray) -> None:
    rng = np.random.default_rng(5)
    noisy = np.clip(portrait[20:220, 120:320] + rng.normal(0, 8, (200, 200, 3)), 0, 255).astype(np.uint8)
    one = face(103, 100, 150)
    changes = []
    for amount in range(0, 101, 10):
        parameters = Parameters(strength=0, denoise=0, sharpen=0, mode=mode).model_copy(
            update={slider: amount}
        )
        after = enhance(Image(noisy), parameters, tools(), faces=[one]).image.pixels
        changes.append(float(np.sqrt(np.mean((after.astype(float) - noisy) ** 2))))
    assert changes[0] == 0
    assert all(later > earlier for earlier, later in pairwise(changes)), changes


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("profile", [None, "Adobe RGB (1998)", "ProPhoto RGB"])
@pytest.mark.parametrize("parameters", [FACES_ALONE, Parameters(), Parameters(mode=Mode.detail)])
def test_a_photo_without_colour_stays_so(dtype: type, profile: str | None, parameters: Parameters) -> None:
    gray = noise(100, 120, 1, dtype)
    icc = named_profile(profile) if profile else None
    as_rgb = Image(np.repeat(gray, 3, axis=2), icc)
    after = enhance(as_rgb, parameters, tools(), faces=[face(60, 50, 60)]).image.pixels
    np.testing.assert_array_equal(after[..., 0], after[..., 1])
    np.testing.assert_array_equal(after[..., 0], after[..., 2])
    assert (after != as_rgb.pixels).any()
    single = enhance(Image(gray), parameters, tools(), faces=[face(60, 50, 60)]).image
    assert single.pixels.shape == (100, 120, 1)
    assert (single.pixels != gray).any()


@pytest.mark.parametrize("profile", ["sRGB", "Adobe RGB (1998)", "Display P3", "ProPhoto RGB"])
def test_wide_gamut_colours_on_a_face_survive_a_network_that_changes_nothing(profile: str) -> None:
    class Unmoved(StandIn):
        def restore(self, checkpoint: str, crops: np.ndarray, **_: Any) -> np.ndarray:
            return crops

    photo = Image(noise(100, 120, 3, np.uint16), named_profile(profile))
    after = enhance(photo, FACES_ALONE, tools(Unmoved()), faces=[face(60, 50, 60)]).image.pixels
    assert np.abs(after.astype(int) - photo.pixels.astype(int)).max() <= 1


@pytest.mark.parametrize(("denoise", "sharpen"), [(70, 0), (0, 100), (30, 50)])
def test_linear_pixels_are_filtered_as_they_look(denoise: int, sharpen: int) -> None:
    ramp = np.linspace(0.1, 0.9, 240, dtype=np.float32)[None, :, None]
    grain = np.random.default_rng(0).normal(0, 0.02, (160, 240, 3))
    encoded = np.rint(np.clip(ramp + grain, 0, 1) * 65535).astype(np.uint16)
    encoded[40:60, 100:120] //= 2
    twin = linearised(None)
    linear = Image(from_working(to_working(encoded, None), twin, channels=3), twin)
    wanted = Parameters(strength=0, denoise=denoise, sharpen=sharpen)
    looks = to_working(enhance(linear, wanted, tools(), faces=[]).image.pixels, twin)
    expected = enhance(Image(encoded), wanted, tools(), faces=[]).image.pixels / np.float32(65535)
    assert np.abs(looks - expected).max() < 2e-3
    assert np.abs(expected - encoded / 65535).max() > 0.02


def test_what_a_filter_leaves_alone_in_linear_light_stays_bit_for_bit() -> None:
    twin = linearised(None)
    pixels = np.full((64, 64, 3), 0.3, np.float32)
    pixels[30:] = 0.7
    after = enhance(Image(pixels, twin), Parameters(strength=0, denoise=0, sharpen=80), tools(), faces=[])
    same = after.image.pixels == pixels
    assert same[:20].all()
    assert not same[28:32].all()


def test_a_face_is_cut_out_once_where_nothing_was_denoised(monkeypatch: pytest.MonkeyPatch) -> None:
    cut: list[Face] = []

    def counted(colour: np.ndarray, one: Face, *rest: Any) -> Crop:
        cut.append(one)
        return align(colour, one, *rest)

    monkeypatch.setattr(pipeline, "align", counted)
    enhance(Image(noise(100, 120, 3, np.uint8)), FACES_ALONE, tools(), faces=[face(60, 50, 60)])
    assert len(cut) == 1


def test_layers_composed_by_a_client_are_the_composite() -> None:
    photo = Image(noise(120, 160, 3, np.uint16))
    faces = [face(55, 60, 60), face(110, 60, 50)]
    parameters = FACES_ALONE.model_copy(update={"strength": 60})
    composite = enhance(photo, parameters, tools(), faces=faces).image.pixels
    layered = enhance(photo, parameters, tools(), faces=faces, as_layers=True)
    assert layered.mask is not None
    assert layered.opacity == pytest.approx(0.6)
    share = layered.mask / 65535 * layered.opacity
    composed = photo.pixels * (1 - share) + layered.image.pixels * share
    clear = np.all((layered.image.pixels > 0) & (layered.image.pixels < 65535), axis=2)
    assert np.abs(composed - composite)[clear].max() <= 1.6


def test_layers_hold_the_whole_restoration_whatever_the_strength() -> None:
    photo = Image(noise(120, 160, 3, np.uint8))
    at = {
        strength: enhance(
            photo,
            FACES_ALONE.model_copy(update={"strength": strength}),
            tools(),
            faces=[face(80, 60, 60)],
            as_layers=True,
        )
        for strength in (0, 30, 100)
    }
    np.testing.assert_array_equal(at[0].image.pixels, at[100].image.pixels)
    np.testing.assert_array_equal(at[30].image.pixels, at[100].image.pixels)
    assert [at[strength].opacity for strength in (0, 30, 100)] == [0, 0.3, 1]


def test_layers_with_whole_picture_filters_are_refused() -> None:
    for slider in ("denoise", "sharpen"):
        with pytest.raises(InvalidRequest, match="Layers"):
            enhance(
                Image(noise(40, 40, 3, np.uint8)),
                FACES_ALONE.model_copy(update={slider: 5}),
                tools(),
                faces=[],
                as_layers=True,
            )


@pytest.mark.parametrize(
    ("select", "restored"),
    [("all", [True] * 3), ("largest", [False, True, False]), ((2, 0), [True, False, True])],
)
def test_only_selected_faces_are_restored(select: Any, restored: Sequence[bool]) -> None:
    photo = Image(noise(120, 300, 3, np.uint8))
    faces = [face(50, 60, 40), face(150, 60, 60), face(250, 60, 40)]
    result = enhance(photo, FACES_ALONE.model_copy(update={"select": select}), tools(), faces=faces)
    assert [one.checkpoint is not None for one in result.faces] == list(restored)
    for one, changed in zip(faces, restored, strict=True):
        x, y = one.landmarks[2].astype(int)
        assert (
            result.image.pixels[y - 8 : y + 8, x - 8 : x + 8] != photo.pixels[y - 8 : y + 8, x - 8 : x + 8]
        ).any() == changed


def test_a_face_index_that_is_not_there_is_named() -> None:
    with pytest.raises(InvalidRequest, match="Face 4"):
        enhance(
            Image(noise(40, 40, 3, np.uint8)),
            FACES_ALONE.model_copy(update={"select": (4,)}),
            tools(),
            faces=[],
        )


def test_a_face_may_have_its_own_strength() -> None:
    photo = Image(noise(120, 300, 3, np.uint16))
    faces = [face(60, 60, 60, strength=0), face(150, 60, 60, strength=50), face(240, 60, 60)]
    result = enhance(photo, FACES_ALONE, tools(), faces=faces).image.pixels
    change = [
        np.abs(result[50:70, x - 10 : x + 10].astype(int) - photo.pixels[50:70, x - 10 : x + 10]).mean()
        for x in (60, 150, 240)
    ]
    assert change[0] == 0
    assert change[1] == pytest.approx(change[2] / 2, rel=0.35)
    full = enhance(photo, FACES_ALONE, tools(), faces=[replace(faces[1], strength=None)]).image.pixels
    half = np.abs(full[50:70, 140:160].astype(int) - photo.pixels[50:70, 140:160]).mean() / 2
    assert change[1] == pytest.approx(half, rel=0.01)


def test_a_face_of_no_strength_is_left_alone_and_not_said_to_be_restored() -> None:
    photo = Image(noise(120, 200, 3, np.uint8))
    faces = [face(60, 60, 60, strength=0), face(150, 60, 60)]
    done = enhance(photo, FACES_ALONE, tools(), faces=faces, with_mask=True)
    assert [one.checkpoint is not None for one in done.faces] == [False, True]
    assert done.mask is not None
    assert not done.mask[:, :80].any()
    alone = enhance(photo, FACES_ALONE, tools(), faces=faces[:1], with_mask=True)
    assert alone.mask is not None
    assert not alone.mask.any()
    layered = enhance(photo, FACES_ALONE, tools(), faces=faces[:1], as_layers=True)
    assert layered.mask is not None
    assert layered.mask.any()
    assert layered.opacity == 0


def test_a_given_face_that_is_none_is_refused() -> None:
    wrong = Face((0, 0, 10, 10), np.zeros((5, 2)))
    with pytest.raises(DegenerateLandmarks):
        enhance(Image(noise(40, 40, 3, np.uint8)), FACES_ALONE, tools(), faces=[wrong])


def test_no_face_is_a_result_not_an_error() -> None:
    scene = Image(noise(200, 300, 3, np.uint8))
    result = enhance(scene, FACES_ALONE, tools(detector=Detector()))
    assert result.faces == ()
    np.testing.assert_array_equal(result.image.pixels, scene.pixels)


def test_a_hundred_faces_never_wait_in_memory_together() -> None:
    engine = StandIn()
    faces = [face(20 + 30 * (i % 10), 20 + 30 * (i // 10), 20) for i in range(100)]
    result = enhance(Image(noise(320, 320, 3, np.uint8)), FACES_ALONE, tools(engine), faces=faces)
    assert sum(engine.passes) == 100
    assert max(engine.passes) <= CROPS_AT_ONCE
    assert all(one.checkpoint for one in result.faces)


def test_the_detector_serves_when_no_faces_are_given(portrait: np.ndarray) -> None:
    kit = tools(detector=Detector())
    found = find_faces(Image(portrait), kit)
    result = enhance(Image(portrait), FACES_ALONE, kit)
    assert len(result.faces) == len(found) == 1
    assert {"detect", "restore", "blend"} <= set(result.seconds)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_lying_face_is_restored_as_an_upright_one_is(portrait: np.ndarray, turns: int) -> None:
    kit = tools(detector=Detector())
    upright = enhance(Image(portrait), FACES_ALONE, kit, with_mask=True)
    lying = enhance(Image(np.ascontiguousarray(np.rot90(portrait, turns))), FACES_ALONE, kit)
    assert len(lying.faces) == len(upright.faces) == 1
    assert upright.mask is not None
    inside = upright.mask[..., 0] > 128
    expected = (upright.image.pixels.astype(float) - portrait)[inside]
    found = (np.rot90(lying.image.pixels, -turns).astype(float) - portrait)[inside]
    assert np.corrcoef(expected.ravel(), found.ravel())[0, 1] > 0.9
    assert found.std() == pytest.approx(expected.std(), rel=0.1)


def test_cancel_is_seen_before_between_and_after() -> None:
    set_already = threading.Event()
    set_already.set()
    photo = Image(noise(320, 320, 3, np.uint8))
    faces = [face(20 + 30 * (i % 10), 20 + 30 * (i // 10), 20) for i in range(20)]
    with pytest.raises(Cancelled):
        enhance(photo, Parameters(), tools(), faces=faces, cancelled=set_already)
    during = threading.Event()
    engine = StandIn(after_pass=during.set)
    with pytest.raises(Cancelled):
        enhance(photo, Parameters(), tools(engine), faces=faces, cancelled=during)
    assert len(engine.passes) == 1


def test_what_was_done_is_told_in_the_file_and_nothing_that_varies() -> None:
    file = encode(
        Image(noise(60, 60, 3, np.uint8), None, Metadata(dots_per_inch=(300, 300))), Format.PNG
    ).data
    result = enhance_file(file, Parameters(), Output(), tools(), preset="default", faces=[face(30, 30, 30)])
    after = decode(result.data, max_megapixels=1)
    assert after.metadata.xmp is not None
    for word in (b"stand-in", b"default", b"0" * 64, b"compositeWithTrainedAlgorithmicMedia"):
        assert word in after.metadata.xmp
    filters = enhance_file(file, Parameters(strength=0), Output(), tools(), faces=[])
    xmp = decode(filters.data, max_megapixels=1).metadata.xmp
    assert xmp is not None
    assert b"algorithmicallyEnhanced" in xmp
    nothing = Parameters(denoise=0, sharpen=0)  # and no face
    untouched = enhance_file(file, nothing, Output(), tools(), preset="default", faces=[])
    xmp = decode(untouched.data, max_megapixels=1).metadata.xmp
    assert xmp is not None
    assert b"default" in xmp
    assert b"DigitalSourceType" not in xmp


@pytest.mark.parametrize(
    ("format_", "depth", "dtype"), [("tiff", 16, np.uint16), ("png", 8, np.uint8), ("jpeg", "same", np.uint8)]
)
def test_the_output_has_the_form_asked_for(format_: Any, depth: Any, dtype: type) -> None:
    file = encode(Image(noise(60, 60, 3, np.uint16)), Format.TIFF).data
    result = enhance_file(file, Parameters(), Output(format=format_, depth=depth), tools(), faces=[])
    assert result.format == Format(format_)
    assert decode(result.data, max_megapixels=1).pixels.dtype == dtype


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        b"II*\x00",
        b"\xff\xd8\xff",
    ],
)
def test_what_is_not_a_picture_is_named(junk: bytes) -> None:
    with pytest.raises(BridgeError) as caught:
        enhance_file(junk, Parameters(), Output(), tools())
    assert caught.value.status in (415, 422)


def test_float_pictures_with_highlights_above_white_keep_them() -> None:
    photo = noise(100, 120, 3, np.float32)
    photo[40:60, 50:70] = 3.5
    after = enhance(Image(photo), FACES_ALONE, tools(), faces=[face(60, 50, 60)]).image.pixels
    assert after.dtype == np.float32
    assert after[48:52, 58:62].min() > 3.3
