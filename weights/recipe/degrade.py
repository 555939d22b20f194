"""What time, lenses and phones do to a portrait: the degradation model of the recipe.

    worse = JPEG((photo * blur) shrunk + noise) enlarged        GPEN, equation 5; GFPGAN, equation 6

then what only old prints suffer: fading, scratches, no colour. Owns every range. Pure: a
generator of random numbers goes in, so that a seed gives the same pictures everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
"""H x W x 3 float32 in [0, 1], RGB, sRGB-encoded."""

CLEAN_SHARE = 0.05
"""Samples that are not degraded at all: what teaches restraint."""
LIGHTNESS = 0.4
"""Exponent of a uniform severity: below 1, heavily worn photos are more frequent, which teach the most."""
SPREAD = 0.08
"""How far the kinds of loss stray from their common severity. Wider is harsher on a small network: it must
guess every kind by itself."""
OLD_PRINT_SHARE = 0.04
GRAY_SHARE = 0.03

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Degradation:
    """One way of making a crop worse.

    Attributes:
        blur: sigma in pixels of the crop; 0: none.
        shape: of the blur.
        stretch: the long sigma of a gaussian as a multiple of the short one; length of a motion.
        angle: of a stretched blur, in radians.
        shrink: factor, at least 1.
        noise: sigma of 255, of the shrunken picture at middle gray.
        shot: share of the noise's variance that grows with brightness, 0-1.
        chroma: how much wider the noise of colour is than that of luma; demosaicing spreads it.
        jpeg: quality 1-100; None: not compressed.
        fading: 0-1, how far contrast and colour of a print have gone.
        scratches: number of them.
        gray: without colour.
    """

    blur: float = 0.0
    shape: str = "gaussian"
    stretch: float = 1.0
    angle: float = 0.0
    shrink: float = 1.0
    noise: float = 0.0
    shot: float = 0.0
    chroma: float = 0.0
    jpeg: int | None = None
    fading: float = 0.0
    scratches: int = 0
    gray: bool = False


NOTHING = Degradation()
LEVELS = {
    "light": Degradation(blur=0.8, shrink=1.0, noise=3, jpeg=92),
    "medium": Degradation(blur=1.5, shrink=2.0, noise=6, jpeg=80),
    "heavy": Degradation(blur=2.5, shrink=3.5, noise=10, jpeg=60),
}
"""What the evaluation measures, for crops of 256 pixels; `scaled` carries them to other sides."""


def scaled(degradation: Degradation, factor: float) -> Degradation:
    """The same loss on a crop whose face is `factor` times as large: blur and shrinking grow with it."""
    values = {**vars(degradation)}
    values["blur"] = degradation.blur * factor
    values["shrink"] = max(1.0, degradation.shrink * factor)
    return Degradation(**values)


def sampled(random: np.random.Generator) -> Degradation:
    """One degradation of the training mix, for crops of 256 pixels.

    Severities are drawn one by one around a common one, so that a soft picture is usually
    noisy too, but every combination occurs.
    """
    if random.random() < CLEAN_SHARE:
        return NOTHING
    severity = random.random() ** LIGHTNESS

    def around(lowest: float, highest: float) -> float:
        share = np.clip(severity + random.normal(0, SPREAD), 0, 1)
        return float(lowest + (highest - lowest) * share)

    old = random.random() < OLD_PRINT_SHARE
    shape = str(random.choice(["gaussian", "disc", "motion"], p=[0.9, 0.06, 0.04]))
    return Degradation(
        blur=around(0.4, 3.0),
        shape=shape,
        stretch=float(random.uniform(1.0, 2.0)) if random.random() < 0.2 else 1.0,
        angle=float(random.uniform(0, np.pi)),
        shrink=1.0 if random.random() < 0.06 else around(0.8, 4.2),
        noise=0.0 if random.random() < 0.05 else around(1.0, 12.0),
        shot=float(random.uniform(0, 1)) if random.random() < 0.5 else 0.0,
        chroma=float(random.uniform(0.6, 1.6)) if random.random() < 0.15 else 0.0,
        jpeg=None if random.random() < 0.06 else round(around(97, 50)),
        fading=float(random.uniform(0.1, 0.6)) if old else 0.0,
        scratches=int(random.integers(0, 4)) if old else 0,
        gray=bool(random.random() < GRAY_SHARE),
    )


def degrade(photo: FloatImage, how: Degradation, random: np.random.Generator) -> FloatImage:
    """Make a crop worse; `photo` is not modified.

    Returns:
        H x W x 3 float32 in [0, 1], of the same size.
    """
    height, width = photo.shape[:2]
    worse = _blurred(photo, how)
    if how.shrink > 1:
        size = max(4, round(width / how.shrink)), max(4, round(height / how.shrink))
        worse = _image(cv2.resize(worse, size, interpolation=cv2.INTER_AREA))
    if how.noise > 0:
        worse = worse + _noise(worse, how, random)
    if how.jpeg is not None:
        worse = _compressed(worse, how.jpeg)
    if worse.shape != photo.shape:
        worse = _image(cv2.resize(worse, (width, height), interpolation=cv2.INTER_CUBIC))
    for _ in range(how.scratches):
        _scratch(worse, random)
    if how.fading > 0:
        worse = _faded(worse, how.fading)
    if how.gray:
        worse = np.repeat((worse @ LUMA)[..., None], 3, axis=2)
    return np.clip(worse, 0, 1).astype(np.float32)


def target(photo: FloatImage, how: Degradation) -> FloatImage:
    """What the network should answer: the photo, but a gray one for gray."""
    return np.repeat((photo @ LUMA)[..., None], 3, axis=2) if how.gray else photo


def _image(pixels: object) -> FloatImage:
    return np.asarray(pixels, np.float32)


def _blurred(photo: FloatImage, how: Degradation) -> FloatImage:
    if how.blur < 0.05:
        return photo
    if how.shape == "gaussian" and how.stretch == 1.0:
        return _image(cv2.GaussianBlur(photo, (0, 0), how.blur, borderType=cv2.BORDER_REFLECT_101))
    return _image(cv2.filter2D(photo, -1, _kernel(how), borderType=cv2.BORDER_REFLECT_101))


def _kernel(how: Degradation) -> NDArray[np.float32]:
    """A stretched gaussian, the disc of a lens out of focus, or a straight motion; sums to 1."""
    reach = int(np.ceil(3 * how.blur * how.stretch)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along = x * np.cos(how.angle) + y * np.sin(how.angle)
    across = y * np.cos(how.angle) - x * np.sin(how.angle)
    if how.shape == "disc":
        # A disc of radius 2 sigma has the same variance a direction as the gaussian.
        kernel = np.clip(2 * how.blur + 0.5 - np.hypot(x, y), 0, 1)
    elif how.shape == "motion":
        length = how.blur * np.sqrt(12) / 2
        kernel = np.clip(length + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    else:
        kernel = np.exp(-0.5 * ((along / (how.blur * how.stretch)) ** 2 + (across / how.blur) ** 2))
    return (kernel / kernel.sum()).astype(np.float32)


def _noise(photo: FloatImage, how: Degradation, random: np.random.Generator) -> FloatImage:
    """Read noise, and shot noise whose variance follows brightness; some of both as soft specks of colour."""
    brightness = photo.mean(axis=2, keepdims=True)
    variance = (1 - how.shot) + how.shot * 2 * brightness
    sigma = how.noise / 255 * np.sqrt(variance)
    grain = random.normal(size=photo.shape).astype(np.float32)
    if how.chroma:
        luma = grain.mean(axis=2, keepdims=True)
        specks = cv2.GaussianBlur(grain - luma, (0, 0), 1.0)
        grain = luma + _image(specks) * np.float32(2 * how.chroma)
    return (sigma * grain).astype(np.float32)


def _compressed(photo: FloatImage, quality: int) -> FloatImage:
    # OpenCV's channel order is its own affair: it goes in and out of the same two calls.
    bytes_ = np.rint(np.clip(photo, 0, 1) * 255).astype(np.uint8)
    encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(bytes_, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    decoded = np.asarray(cv2.imdecode(encoded[1], cv2.IMREAD_COLOR), np.uint8)
    return _image(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)) / np.float32(255)


def _scratch(photo: FloatImage, random: np.random.Generator) -> None:
    """A thin bright or dark line across the print, in place."""
    height, width = photo.shape[:2]
    start = random.uniform(0, 1, 2) * (width, height)
    end = start + random.normal(0, 0.4, 2) * (width, height)
    line = np.zeros((height, width), np.float32)
    points = np.rint([start, end]).astype(int)
    cv2.line(line, tuple(points[0]), tuple(points[1]), 1.0, int(random.integers(1, 3)), cv2.LINE_AA)
    value = np.float32(random.choice([0.9, 0.1]))
    opacity = (line * np.float32(random.uniform(0.4, 0.9)))[..., None]
    photo[:] = photo * (1 - opacity) + value * opacity


def _faded(photo: FloatImage, amount: float) -> FloatImage:
    """Blacks lift, whites sink, colour goes and turns warm, as a print does in the light."""
    tone = np.array([0.62, 0.55, 0.45], np.float32)
    luma = (photo @ LUMA)[..., None]
    pale = luma + (photo - luma) * np.float32(1 - 0.8 * amount)
    return (pale * np.float32(1 - 0.5 * amount) + tone * np.float32(0.5 * amount)).astype(np.float32)
