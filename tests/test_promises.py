"""Promises 1, 2, 3 and 6 of the product, over generated pictures, with a network stood in for.

1: outside the feather masks nothing changes. 2: a face larger than the network keeps its own detail.
3: depth, profile and metadata stay. 6: the same photo gives the same bytes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from PIL import ImageOps

from bridge.engine.engine import Engine
from bridge.faces.align import align
from bridge.faces.face import Face
from bridge.imaging.codecs import Format, decode, encode
from bridge.imaging.image import FULL_SCALE, Image, Metadata
from bridge.imaging.profiles import named_profile
from bridge.network.architecture import Architecture
from bridge.network.form import TensorForm
from bridge.network.gpen import GPEN
from bridge.network.inference import fold
from bridge.network.opened import Network
from bridge.pipeline import Tools, enhance, enhance_file
from bridge.presets import Mode, Output, Parameters
from tests.engine.fakes import CPU
from tests.imaging.samples import IPTC, XMP, exif_block, facts
from tests.stand_in import ENTRY, FACES_ALONE, NoDetector, OneCheckpoint, StandIn, face, noise, tools

RGB_PROFILES = (None, "sRGB", "Adobe RGB (1998)", "Display P3", "ProPhoto RGB")
GRAY_PROFILES = (None, "Gray Gamma 2.2", "sGray")
HELD = {  # what each lossless format holds: depths, and numbers of channels
    Format.PNG: ((np.uint8, np.uint16), (1, 2, 3, 4)),
    Format.TIFF: ((np.uint8, np.uint16, np.float32), (1, 2, 3, 4)),
    Format.WEBP: ((np.uint8,), (3, 4)),
}
OFF = Parameters(strength=0, denoise=0, sharpen=0)
LOSSLESS = Output(quality=100)  # of a WebP
many = settings(max_examples=60)


@dataclass(frozen=True)
class Case:
    """A generated file with faces in it."""

    format: Format
    image: Image
    faces: list[Face]
    mode: Mode

    @property
    def file(self) -> bytes:
        return encode(self.image, self.format, quality=100).data

    @property
    def parameters(self) -> Parameters:
        return FACES_ALONE.model_copy(update={"mode": self.mode})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    container = draw(st.sampled_from(list(HELD)))
    dtypes, counts = HELD[container]
    dtype, channels = draw(st.sampled_from(dtypes)), draw(st.sampled_from(counts))
    height, width = draw(st.integers(1, 110)), draw(st.integers(1, 130))
    pixels = noise(height, width, channels, dtype, seed=draw(st.integers(0, 99)))
    profile = draw(st.sampled_from(RGB_PROFILES if channels >= 3 else GRAY_PROFILES))
    faces = st.builds(
        face,
        st.floats(-10, 140),
        st.floats(-10, 120),
        st.floats(15, 160),
        st.sampled_from([None, 0, 40]),
        st.floats(-3.2, 3.2),
    )
    return Case(
        container,
        Image(pixels, named_profile(profile) if profile else None),
        draw(st.lists(faces, max_size=3)),
        draw(st.sampled_from(list(Mode))),
    )


def beyond_every_crop(shape: tuple[int, ...], faces: list[Face]) -> np.ndarray:
    """Pixels that no crop sees, measured without masks or blending: H x W bool."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    grid = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    outside = np.ones(shape[:2], bool)
    for one in faces:
        to_crop = align(np.zeros((2, 2, 1), np.uint8), one, ENTRY.template, ENTRY.side).transform
        # Where the photo is coarser than the crop, its pixels average over the crop's last ones.
        place, reach = to_crop.apply(grid), to_crop.scale if to_crop.scale > 1 else 0.0
        outside &= ((place < -reach) | (place > ENTRY.side - 1 + reach)).any(axis=1).reshape(outside.shape)
    return outside


@many
@given(case=cases())
def test_1_outside_the_masks_every_pixel_is_bit_identical(case: Case) -> None:
    before = case.image.pixels
    after = decode(
        enhance_file(case.file, case.parameters, LOSSLESS, tools(), faces=case.faces).data, max_megapixels=1
    )
    assert (after.pixels.dtype, after.pixels.shape) == (before.dtype, before.shape)
    assert after.icc == case.image.icc
    mask = enhance(case.image, case.parameters, tools(), faces=case.faces, with_mask=True).mask
    assert mask is not None
    outside, far = mask[..., 0] == 0, beyond_every_crop(before.shape, case.faces)
    assert outside[far].all()
    np.testing.assert_array_equal(after.pixels[outside], before[outside])
    if case.image.has_alpha:
        np.testing.assert_array_equal(after.pixels[..., -1], before[..., -1])


@many
@given(case=cases())
def test_1_with_strength_0_every_pixel_is(case: Case) -> None:
    faces = [replace(one, strength=None) for one in case.faces]
    after = enhance_file(case.file, OFF, LOSSLESS, tools(), faces=faces)
    np.testing.assert_array_equal(decode(after.data, max_megapixels=1).pixels, case.image.pixels)


class Rewriter(StandIn):
    """A network that takes away all detail it sees and draws waves instead, ten of its pixels long."""

    def restore(self, checkpoint: str, crops: np.ndarray, **_: Any) -> np.ndarray:
        waves = 0.05 * np.sin(np.arange(crops.shape[2]) * 2 * np.pi / 10)[None, None, :, None]
        smooth = np.stack([cv2.GaussianBlur(crop, (0, 0), 4) for crop in crops])
        return np.asarray(np.clip(smooth + waves, 0, 1), np.float32)


@settings(max_examples=20)
@given(
    size=st.floats(150, 430),
    angle=st.floats(-3.2, 3.2),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    profile=st.sampled_from(RGB_PROFILES),
    mode=st.sampled_from(list(Mode)),
    seed=st.integers(0, 99),
)
def test_2_a_face_larger_than_the_network_keeps_its_own_detail(
    size: float, angle: float, dtype: type, profile: str | None, mode: Mode, seed: int
) -> None:
    """What is finer than a crop's pixel comes back as it was; what the network drew comes too."""
    white = FULL_SCALE[np.dtype(dtype)]
    middle = np.s_[190:290, 190:290]
    grain = np.random.default_rng(seed).normal(0, 0.05, (480, 480, 3))
    photo = ((0.5 + grain).clip(0, 1) * white).astype(dtype)
    one = face(240, 240, size, angle=angle)
    image = Image(photo, named_profile(profile) if profile else None)
    parameters = FACES_ALONE.model_copy(update={"mode": mode})
    after = enhance(image, parameters, tools(Rewriter()), faces=[one]).image.pixels
    crop_pixel = size / ENTRY.side

    def fine(pixels: np.ndarray) -> np.ndarray:
        values = pixels / white
        return (values - cv2.GaussianBlur(values, (0, 0), 0.25 * crop_pixel))[middle].ravel()

    before, kept = fine(photo), fine(after)
    assert np.corrcoef(before, kept)[0, 1] > 0.99
    assert 0.97 < kept.std() / before.std() < 1.03
    change = cv2.GaussianBlur(after / white - photo / white, (0, 0), crop_pixel)[middle]
    assert change.std() > 0.01


@st.composite
def metadata(draw: st.DrawFn) -> Metadata:
    """What may ride along: any of it may be missing."""
    order = draw(st.sampled_from("<>"))
    return Metadata(
        exif=draw(st.sampled_from([None, exif_block(order=order)])),
        xmp=draw(st.sampled_from([None, XMP])),
        iptc=draw(st.sampled_from([None, IPTC])),
        dots_per_inch=draw(st.sampled_from([None, (72.0, 72.0), (300.0, 300.0)])),
    )


RESOLUTION = {282, 283, 296}


def described(image: Image) -> dict[str, dict[int, Any]]:
    """What the EXIF block says, without the resolution, for which some formats have another place."""
    return {
        part: {tag: value for tag, value in fields.items() if tag not in RESOLUTION}
        for part, fields in facts(image.metadata.exif).items()
    }


@many
@given(
    riding=metadata(),
    source=st.sampled_from(list(Format)),
    target=st.sampled_from([None, *Format]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    profile=st.sampled_from(RGB_PROFILES),
    size=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    parameters=st.sampled_from([FACES_ALONE, Parameters()]),
)
def test_3_depth_profile_and_metadata_stay_or_their_loss_is_told(
    riding: Metadata,
    source: Format,
    target: Format | None,
    dtype: type,
    profile: str | None,
    size: tuple[int, int],
    parameters: Parameters,
) -> None:
    icc = named_profile(profile) if profile else None
    file = encode(Image(noise(*size, 3, dtype), icc, riding), source).data
    before = decode(file, max_megapixels=1)
    result = enhance_file(
        file, parameters, Output(format=target.value if target else "same"), tools(), faces=[face(20, 20, 30)]
    )
    after = decode(result.data, max_megapixels=1)
    assert result.format == (target or source)
    assert after.icc == before.icc == icc
    assert after.pixels.shape == before.pixels.shape
    told = " ".join(result.warnings)
    if result.format in (Format.PNG, Format.TIFF):
        assert after.pixels.dtype == before.pixels.dtype
    else:
        assert after.pixels.dtype == np.uint8
        assert ("8 bits" in told) == (before.pixels.dtype == np.uint16)
    assert described(after) == described(before)
    if result.format is Format.WEBP:
        assert after.metadata.iptc is None
        assert ("IPTC" in told) == (before.metadata.iptc is not None)
    else:
        assert after.metadata.iptc == before.metadata.iptc
    assert after.metadata.dots_per_inch == pytest.approx(before.metadata.dots_per_inch, abs=0.01)
    xmp = after.metadata.xmp or b""
    assert xmp.count(b"DigitalSourceType=") == 1
    assert b"compositeWithTrainedAlgorithmicMedia" in xmp
    assert (b"bride &amp; groom" in xmp) == (before.metadata.xmp is not None)
    assert after.metadata.warnings == ()


@settings(max_examples=25)
@given(
    orientation=st.integers(1, 8),
    container=st.sampled_from([Format.JPEG, Format.PNG, Format.WEBP]),
    size=st.tuples(st.integers(8, 50), st.integers(8, 50)),
)
def test_3_the_orientation_is_applied_once(
    orientation: int, container: Format, size: tuple[int, int]
) -> None:
    """The result looks as the source does in a program that honours orientation, here Pillow."""
    turned = Metadata(exif=exif_block(orientation, size=(size[1], size[0])))
    file = encode(Image(noise(*size, 3, np.uint8), None, turned), container, quality=100).data
    result = enhance_file(file, OFF, Output(format="png"), tools(), faces=[])
    with Pillow.open(io.BytesIO(file)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB")).astype(int)
    with Pillow.open(io.BytesIO(result.data)) as opened:
        assert opened.getexif().get(274, 1) == 1
        shown = np.asarray(ImageOps.exif_transpose(opened)).astype(int)
    assert shown.shape == expected.shape
    assert np.abs(shown - expected).max() <= (2 if container is Format.JPEG else 0)


@many
@given(case=cases(), parameters=st.sampled_from([Parameters(), FACES_ALONE]), urgent=st.booleans())
def test_6_the_same_file_gives_the_same_bytes(case: Case, parameters: Parameters, urgent: bool) -> None:
    first, second = (
        enhance_file(case.file, parameters, Output(), tools(), faces=case.faces, **road).data
        for road in ({}, {"urgent": urgent, "with_mask": True})
    )
    assert first == second


@pytest.fixture(scope="module")
def engine() -> Any:
    """A CPU engine with a real network of 64 pixels and random weights."""
    import torch

    torch.manual_seed(3)
    network = fold(GPEN(Architecture((8,) * 5, style_dim=16, mlp_depth=2)))
    with Engine(lambda _: Network(network, TensorForm(output="residual")), CPU) as running:
        yield running


@settings(max_examples=25)
@given(
    sizes=st.lists(st.floats(20, 60), min_size=2, max_size=11),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    mode=st.sampled_from(list(Mode)),
    data=st.data(),
)
def test_6_each_face_is_what_it_is_alone(
    engine: Engine, sizes: list[float], dtype: type, mode: Mode, data: st.DataObject
) -> None:
    """Whoever shares the photo and the pass, and in whatever order they are named."""
    photo = Image(noise(140, 140 * len(sizes), 3, dtype))
    faces = [face(70 + 140 * index, 70, size) for index, size in enumerate(sizes)]
    kit = Tools(NoDetector(), engine, OneCheckpoint())
    parameters = FACES_ALONE.model_copy(update={"mode": mode})
    together = enhance(photo, parameters, kit, faces=data.draw(st.permutations(faces))).image.pixels
    one = data.draw(st.sampled_from(faces))
    alone = enhance(photo, parameters, kit, faces=[one], with_mask=True)
    assert alone.mask is not None
    inside = alone.mask[..., 0] > 0
    assume(inside.any())
    np.testing.assert_array_equal(together[inside], alone.image.pixels[inside])
    assert (together[inside] != photo.pixels[inside]).any()


@pytest.mark.slow
def test_1_and_3_on_a_large_camera_file() -> None:
    """6,000 x 4,000, 16 bit, ProPhoto RGB, with EXIF, GPS, IPTC, XMP and resolution."""
    small = noise(400, 600, 3, np.uint16, seed=9)
    pixels = cv2.resize(small, (6000, 4000), interpolation=cv2.INTER_CUBIC).astype(np.uint16)
    riding = Metadata(exif=exif_block(), xmp=XMP, iptc=IPTC, dots_per_inch=(300.0, 300.0))
    before = Image(pixels, named_profile("ProPhoto RGB"), riding)
    file = encode(before, Format.TIFF).data
    faces = [face(1500, 1800, 1500), face(4300, 1500, 900, angle=0.4)]
    result = enhance_file(file, FACES_ALONE, Output(), tools(), faces=faces, with_mask=True)
    after = decode(result.data, max_megapixels=250)
    assert result.warnings == ()
    assert after.pixels.dtype == np.uint16
    assert after.icc == before.icc
    assert after.metadata.iptc == IPTC
    assert after.metadata.dots_per_inch == (300.0, 300.0)
    assert b"bride &amp; groom" in (after.metadata.xmp or b"")
    assert facts(after.metadata.exif) == facts(before.metadata.exif)
    mask = result.enhancement.mask
    assert mask is not None
    outside = mask[..., 0] == 0
    assert 0.85 < outside.mean() < 0.99
    changed = (after.pixels != pixels).any(axis=2)
    assert not changed[outside].any()
    assert changed[~outside].mean() > 0.5
