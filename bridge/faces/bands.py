"""Which spatial frequencies of a restoration are taken: the modes natural, detail, strong.

Works on aligned crops in the working space and gives back a residual: what to add to
the photo. docs/decisions/0003 has the formula with its frequencies. Knows nothing of
networks or photos.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import NDArray

from bridge.faces.face import Points
from bridge.faces.mask import Mask, skin_map
from bridge.imaging.image import FloatPixels
from bridge.presets import Mode

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Rec. 601 weights, for sRGB-encoded values."""

ANCHOR = {Mode.natural: 0.3, Mode.detail: 0.8}
"""Sigma in eye distances of the band that stays the photo's own: its colour and brightness."""
CONTRADICTION_SIGMA = 0.1
"""Sigma in eye distances of the band in which a restoration must agree with the photo."""
CONTRADICTION = {Mode.natural: (0.07, 0.16), Mode.detail: (0.09, 0.2), Mode.strong: (0.18, 0.4)}
"""Disagreement (of full scale) from which the photo begins to win, and at which it has won."""
STRUCTURE_BAND = (0.015, 0.12)
STRUCTURE_WINDOW = 0.12
"""Sigmas in eye distances: the band of hairs and threads of a veil, and where their contrast is compared."""
STRUCTURE_LOST = (0.025, 0.055)
"""Contrast (root mean square, of full scale) in that band that the photo has more than the restoration,
from which the photo begins to win, and at which it has won. Measured on a 256-pixel crop (99 %): noise
of sigma 25 of 255, JPEG of quality 15 and faces at a third of the size stay under 0.017; nets and
strands of hair have 0.06 to 0.2. A scratch has that too, so strong does not ask."""
TEXTURE_SIGMA = 0.1
"""Sigma in eye distances above which detail counts as skin texture: moles, freckles, pores."""
STANDS_OUT = (2.0, 4.0)
"""Times the grain's own spread at which a spot begins to be a mole, and at which it is one."""
SPOT_TAKEN = (0.2, 0.4)
"""Share of a spot's contrast that a change takes from which the photo's is kept, and at which it is whole."""
OWN_GRAIN = 0.35
"""Share of the photo's own grain that natural skin keeps."""
GRAIN_TAKEN = (0.0, 0.2)
"""The same for the contrast of grain around a place."""
TONED = (2.5 / 255, 3.5 / 255)
"""Spread of chroma around a function of luma up to which a picture has one tone, and from which
it is in colour. Measured: scanned sepia prints 0.9 to 2.5 (90 %), colour portraits 3.5 and more."""


def residual(photo: FloatPixels, restored: FloatPixels, landmarks: Points, mode: Mode) -> FloatPixels:
    """What the restoration adds to the photo, on one crop.

    Args:
        photo: S x S x 3 float32, sRGB-encoded: the crop that the result is added to.
        restored: the same shape: the network's answer. Both are compared within 0-1.
        landmarks: 5 x 2 in pixels of the crop.
        mode: strong takes every frequency; detail leaves the lowest band (the photo's own
            colour and brightness) alone; natural does so from a higher frequency on and on
            skin gives back spots and part of the grain where they went. A picture without colour, or
            with one tone, gets a change of brightness along its own tone only.

    Returns:
        S x S x 3 float32; photo + residual is the restored crop.
    """
    unit = max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 8.0)
    # Colours outside sRGB and highlights above white are the photo's own: no network knows them.
    change: FloatPixels = np.clip(restored, 0.0, 1.0) - np.clip(photo, 0.0, 1.0)
    agreement = _agreement(change, unit, *CONTRADICTION[mode])
    if mode is not Mode.strong:
        agreement *= _structure_there(photo, restored, unit)
        change -= _blurred(change, ANCHOR[mode] * unit)
    if mode is Mode.natural:
        change = _with_own_texture(photo, change, skin_map(landmarks, photo.shape[0]), unit)
    return _in_tone(photo, np.asarray(change * agreement[..., None], np.float32))


def _with_own_texture(photo: FloatPixels, change: FloatPixels, skin: Mask, unit: float) -> FloatPixels:
    """On skin, take back what the change took: of spots that stand out all, of the grain some.

    What the change makes clearer (a fold, the rim of a nose) is no texture lost, and stays changed.
    """
    sigma = TEXTURE_SIGMA * unit

    def widened(values: Mask) -> Mask:
        return np.asarray(cv2.dilate(values, _disc(0.8 * sigma)), np.float32)

    fine = change - _blurred(change, sigma)
    before = np.asarray((photo - _blurred(photo, sigma)) @ LUMA, np.float32)
    after = before + np.asarray(fine @ LUMA, np.float32)
    spots, spots_after = (_blurred(texture, 0.25 * sigma) for texture in (before, after))
    on_skin = skin > 0.5
    spread = 1.4826 * float(np.median(np.abs(spots[on_skin]))) if on_skin.any() else 0.0
    low, high = STANDS_OUT
    prominence = np.abs(spots) / max(spread, 1e-4)
    stands_out = np.clip((prominence - low) / (high - low), 0.0, 1.0).astype(np.float32)
    # A mole is a whole place, not the pixels of its rim, which a sharper one draws in: its peak counts, and
    # what stands out is widened by its own size.
    stands_out *= _taken(widened(np.abs(spots)), widened(spots_after * np.sign(spots)), *SPOT_TAKEN)
    kept = _blurred(widened(stands_out), 0.4 * sigma)
    contrast, contrast_after = (_contrast(texture, sigma) for texture in (before, after))
    grain = OWN_GRAIN * _taken(contrast, contrast_after, *GRAIN_TAKEN)
    own = np.maximum(kept, grain) * skin
    return np.asarray(change - own[..., None] * fine, np.float32)


def _taken(before: Mask, after: Mask, begins: float, whole: float) -> Mask:
    """0 where up to `begins` of a contrast went, 1 where `whole` of it and more did."""
    share = 1.0 - after / np.maximum(before, np.float32(1e-4))
    return np.clip((share - begins) / (whole - begins), 0.0, 1.0).astype(np.float32)


def _agreement(change: FloatPixels, unit: float, begins: float, won: float) -> Mask:
    """1 where photo and restoration agree at low frequencies, 0 where they show other things.

    A hand, a veil or hair in front of a face is large and not of the face: a network that
    paints a face over it contradicts the photo in a band that no blur or noise reaches. A change
    of the whole crop (a faded print made fresh) is no contradiction.
    """
    local = np.asarray(change - np.median(change, axis=(0, 1)), np.float32)
    red, green, blue = cv2.split(np.abs(_blurred(local, CONTRADICTION_SIGMA * unit)))
    contradiction = np.asarray(cv2.max(cv2.max(red, green), blue), np.float32)
    return _falling(contradiction, begins, won)


def _structure_there(photo: FloatPixels, restored: FloatPixels, unit: float) -> Mask:
    """1 where the restoration has the photo's fine structure, or more, 0 where it painted it over.

    Strands of hair and the threads of a veil are too fine for `_agreement`. Taking away noise or
    compression loses far less contrast in this band, and making a blurred face sharp adds to it.
    """

    def structure(pixels: FloatPixels) -> Mask:
        luma = np.asarray(np.clip(pixels, 0.0, 1.0) @ LUMA, np.float32)
        fine, coarse = (_blurred(luma, sigma * unit) for sigma in STRUCTURE_BAND)
        return _contrast(fine - coarse, STRUCTURE_WINDOW * unit)

    return _falling(structure(photo) - structure(restored), *STRUCTURE_LOST)


def _contrast(band: Mask, sigma: float) -> Mask:
    """Root mean square of a band around each place."""
    # An enlarged blur overshoots below 0 now and then.
    return np.sqrt(np.maximum(_blurred(np.square(band), sigma), 0.0))


def _falling(values: Mask, begins: float, ends: float) -> Mask:
    """1 up to `begins`, 0 from `ends` on, smooth between."""
    t = np.clip((values - begins) / (ends - begins), 0.0, 1.0)
    return np.asarray(1.0 - t * t * (3 - 2 * t), np.float32)


def is_toned(photo: FloatPixels) -> bool:
    """Whether a crop (S x S x 3 float32, 0-1) is gray or of one tone, like sepia."""
    return _tone(photo)[1] == 0.0


def _tone(photo: FloatPixels) -> tuple[list[NDArray[np.float64]], float]:
    """Red and blue minus luma as quadratics of luma, and how far the photo is from them: 0-1.

    The quadratics are coefficients, lowest power first, of about 256 x 256 pixels of the photo.
    """
    photo = photo[:: max(1, len(photo) // 256), :: max(1, len(photo) // 256)]
    luma = (photo @ LUMA).ravel().astype(np.float64)
    powers = np.vander(luma, 3, increasing=True)
    differences = np.stack([photo[..., channel].ravel() - luma for channel in (0, 2)], axis=1)
    curves = np.linalg.lstsq(powers, differences, rcond=None)[0]
    spread = float(np.sqrt(np.mean((differences - powers @ curves) ** 2, axis=0)).max())
    return list(curves.T), float(np.clip((spread - TONED[0]) / (TONED[1] - TONED[0]), 0.0, 1.0))


def _in_tone(photo: FloatPixels, change: FloatPixels) -> FloatPixels:
    """Keep a picture without colour so, and one of a single tone (sepia) in that tone.

    Where both colour differences of the photo are a quadratic of its luma to within TONED,
    the change is one of luma and the colour follows that curve.
    """
    curves, in_colour = _tone(photo)
    if in_colour == 1.0:
        return change
    luma = photo @ LUMA
    target = np.clip(luma + change @ LUMA, 0.0, 1.0)
    to_red, to_blue = (target - luma + polyval(target, curve) - polyval(luma, curve) for curve in curves)
    # The three weighted changes must sum to the change of luma.
    to_green = (target - luma - LUMA[0] * to_red - LUMA[2] * to_blue) / LUMA[1]
    toned = np.stack([to_red, to_green, to_blue], axis=2)
    return np.asarray(toned + in_colour * (change - toned), np.float32)


def _blurred(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Gaussian with reflected borders; a wide one is computed on a reduced copy (within 1 %)."""
    height, width = values.shape[:2]
    factor = int(min(sigma / 4, min(height, width) / 8))
    if factor < 2:
        blurred = cv2.GaussianBlur(values, (0, 0), max(sigma, 0.3), borderType=cv2.BORDER_REFLECT_101)
        return np.asarray(blurred, np.float32)
    small = cv2.resize(values, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _disc(radius: float) -> NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
