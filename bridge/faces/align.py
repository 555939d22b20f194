"""Face -> Crop: the similarity transform onto a checkpoint's template.

A template is where a network expects the five landmarks; each checkpoint names its
own in the manifest. Knows nothing of detectors, colour or networks.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from bridge.errors import DegenerateLandmarks
from bridge.faces.face import Crop, Face, Points, SimilarityTransform
from bridge.imaging.image import FULL_SCALE, FloatPixels, Pixels

TEMPLATES: dict[str, Points] = {
    # GPEN's own: ArcFace's points for 96 x 112, made square (x + 8), padded by a quarter (+ 28): of 168.
    "gpen": np.array(
        [
            [66.2946, 79.6963],
            [101.5318, 79.5014],
            [84.0252, 99.7366],
            [69.5493, 120.3655],
            [98.7299, 120.2041],
        ]
    )
    / 168.0,
    # FFHQ's alignment, as the ONNX exports of the 512 networks and GPEN-lite use it.
    "ffhq_512": np.array(
        [
            [0.37691676, 0.46864664],
            [0.62285697, 0.46912813],
            [0.50123859, 0.61331904],
            [0.39308822, 0.72541100],
            [0.61150205, 0.72490465],
        ]
    ),
    # The ONNX export of the 256 network.
    "arcface_128": np.array(
        [
            [0.36167656, 0.40387734],
            [0.63696719, 0.40235469],
            [0.50019687, 0.56044219],
            [0.38710391, 0.72160547],
            [0.61507734, 0.72034453],
        ]
    ),
}
"""Five points by name, as fractions of the crop's side."""

Border = Literal["black", "replicate", "reflect"]
"""What a crop shows beyond the photo: what its network was trained with."""

_BORDERS = {
    "black": cv2.BORDER_CONSTANT,
    "replicate": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT_101,
}


def similarity(source: Points, target: Points) -> SimilarityTransform:
    """The similarity that brings `source` nearest to `target`, both N x 2, N >= 2.

    Raises:
        DegenerateLandmarks: the points are not finite, or lie (nearly) in one place.

    Least squares after Umeyama, PAMI 1991, doi:10.1109/34.88573, without reflection.
    """
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise DegenerateLandmarks("A landmark is not a number.")
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    from_centre, to_centre = source - source_mean, target - target_mean
    variance = float((from_centre**2).sum())
    if variance < 1e-6:
        raise DegenerateLandmarks("The landmarks lie in one place.")
    # In the plane the optimal rotation and scale are one complex number: (a + ib).
    a = float((from_centre * to_centre).sum()) / variance
    b = float((from_centre[:, 0] * to_centre[:, 1] - from_centre[:, 1] * to_centre[:, 0]).sum()) / variance
    linear = np.array([[a, -b], [b, a]])
    if np.hypot(a, b) < 1e-6:
        raise DegenerateLandmarks("The landmarks are not arranged like a face.")
    return SimilarityTransform(np.hstack([linear, (target_mean - linear @ source_mean)[:, None]]))


def align(colour: Pixels, face: Face, template: str, side: int, border: Border = "replicate") -> Crop:
    """Warp one face onto a template.

    Args:
        colour: H x W x (1|3) of the photo, any dtype, in the document's encoding. Not modified.
        face: landmarks in pixels of `colour`.
        template: a name in TEMPLATES.
        side: side of the square crop in pixels.
        border: what lies beyond the photo.

    Returns:
        Crop with side x side x (1|3) float32 pixels, 0-1, still in the document's encoding.
        Larger faces are averaged down (area), not
        sampled, so that the crop holds no aliases.

    Raises:
        DegenerateLandmarks: the five points do not determine a similarity.
    """
    transform = similarity(face.landmarks, TEMPLATES[template] * side)
    if not 1e-3 < transform.scale < 1e3:
        raise DegenerateLandmarks("The landmarks are too close together or too far apart for a face.")
    return Crop(warped(colour, transform, side, border), transform, transform.apply(face.landmarks))


def warped(colour: Pixels, transform: SimilarityTransform, side: int, border: Border) -> FloatPixels:
    """The part of a photo that a transform (photo -> square) brings onto a square; see `align`."""
    x0, y0, x1, y1 = _reach(transform, side, colour)
    region: Pixels = np.ascontiguousarray(colour[y0:y1, x0:x1])
    matrix = transform.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ (x0, y0)
    if transform.scale < 1:
        region, matrix = _reduced(region, matrix, transform.scale)
    pixels = region.astype(np.float32) / np.float32(FULL_SCALE[region.dtype])
    square = cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_CUBIC, borderMode=_BORDERS[border])
    crop = np.asarray(square, np.float32).reshape(side, side, colour.shape[2])
    if colour.dtype != np.float32:
        np.clip(crop, 0.0, 1.0, out=crop)
    return crop


def _reach(transform: SimilarityTransform, side: int, colour: Pixels) -> tuple[int, int, int, int]:
    """The part of the photo that a crop sees, with a margin for the filter: x0, y0, x1, y1."""
    height, width = colour.shape[:2]
    margin = 3 + 3 / transform.scale
    corners = transform.inverse.apply(np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float64))
    (left, top), (right, bottom) = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    # A face beyond the edge still needs one row and column to repeat.
    x0 = int(np.clip(np.floor(left), 0, width - 1))
    y0 = int(np.clip(np.floor(top), 0, height - 1))
    x1 = int(np.clip(np.ceil(right), x0 + 1, width))
    y1 = int(np.clip(np.ceil(bottom), y0 + 1, height))
    return x0, y0, x1, y1


def _reduced(region: Pixels, matrix: Points, scale: float) -> tuple[Pixels, Points]:
    """Average a region down to the crop's own scale, and the transform that is left to do."""
    height, width, channels = region.shape
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(region, (new_width, new_height), interpolation=cv2.INTER_AREA)
    stretch = np.array([width / new_width, height / new_height])
    left = matrix.copy()
    left[:, :2] = matrix[:, :2] * stretch
    left[:, 2] = matrix[:, 2] + matrix[:, :2] @ (stretch * 0.5 - 0.5)
    reduced = np.asarray(small, region.dtype).reshape(new_height, new_width, channels)
    return reduced, left
