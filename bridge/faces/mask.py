"""The feather mask: where on a crop the face is, and how softly it ends.

Shaped by the landmarks, not by the crop: an oval from the hairline to under the chin
that leans and widens with the face. Knows nothing of pixels or networks.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from bridge.faces.face import Points

Mask = NDArray[np.float32]
"""S x S float32, 0 (the photo) to 1 (the restoration)."""

HALF_WIDTH = 1.2
"""Half the oval's width in eye distances: cheekbone to cheekbone, ears left out."""
ABOVE_EYES = 1.15
"""From the eye line to the hairline, in eye-to-mouth distances."""
BELOW_MOUTH = 0.85
"""From the mouth line to just under the chin, in eye-to-mouth distances."""
ROUNDNESS = 2.4
"""Exponent of the superellipse: 2 is an ellipse, more is squarer (a jaw is)."""
SMALLEST = 0.18
"""Least half axis of the oval, as a share of the crop's side. Alignment makes every face about twice
that; landmarks that say less are wrong, and a smaller oval would end in a step."""
FEATHER = 0.3
"""Width of the ramp, as a share of the oval's radius."""
FRAME = 0.04
"""Share of the crop's side at its edge where the mask is always zero."""


def feather_mask(landmarks: Points, side: int) -> Mask:
    """Where the restoration of one face goes.

    Args:
        landmarks: 5 x 2 in pixels of the crop.
        side: S, the crop's side in pixels.

    Returns:
        S x S float32 in [0, 1]: 1 over the face, a smooth ramp (C1) at its outline, and
        exactly 0 from the outermost `FRAME` of the crop on, so that nothing of the crop's
        edge can ever show. A turned face shifts the oval to the side that is seen.
    """
    eyes, nose, mouth = landmarks[:2].mean(axis=0), landmarks[2], landmarks[3:].mean(axis=0)
    down = mouth - eyes
    length = max(float(np.linalg.norm(down)), 1e-3)
    down = down / length
    across = np.array([down[1], -down[0]])
    # A face seen from the side keeps its height but not its eye distance.
    eye_distance = max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 0.75 * length)
    half_width = max(HALF_WIDTH * eye_distance, SMALLEST * side)
    # The nose points to where the face is turned; the cheek that is seen lies on the other side.
    turned = float((nose - (eyes + mouth) / 2) @ across)
    top, bottom = eyes - ABOVE_EYES * length * down, mouth + BELOW_MOUTH * length * down
    centre = (top + bottom) / 2 - 0.7 * turned * across
    half_height = max(float(np.linalg.norm(bottom - top)) / 2, SMALLEST * side)

    # float32, and its powers by OpenCV: a mask is a picture, and 512 x 512 of it take 5 ms instead of 60.
    x = np.arange(side, dtype=np.float32)[None, :]
    y = x.T
    u = ((x - centre[0]) * across[0] + (y - centre[1]) * across[1]) / half_width
    v = ((x - centre[0]) * down[0] + (y - centre[1]) * down[1]) / half_height
    radius = cv2.pow(cv2.pow(_single(abs(u)), ROUNDNESS) + cv2.pow(_single(abs(v)), ROUNDNESS), 1 / ROUNDNESS)
    oval = _smoothstep(_single((1.0 - radius) / FEATHER))

    inset = np.minimum(x, side - 1 - x) / side
    edge = _smoothstep(_single((inset - FRAME) / (2 * FRAME)))
    return oval * np.minimum(edge, edge.T)


def skin_map(landmarks: Points, side: int) -> Mask:
    """Where on a crop plain skin may be: 1 away from eyes, brows, nostrils and mouth, else 0.

    S x S float32 with soft borders; the map by which `natural` keeps the photo's own
    texture on skin and takes the restoration where a face has its features.
    """
    eyes, mouth = landmarks[:2], landmarks[3:].mean(axis=0)
    length = max(float(np.linalg.norm(mouth - eyes.mean(axis=0))), 1e-3)
    down = (mouth - eyes.mean(axis=0)) / length
    angle = float(np.degrees(np.arctan2(-down[0], down[1])))
    unit = max(float(np.linalg.norm(eyes[1] - eyes[0])), 0.75 * length)
    mouth_width = max(float(np.linalg.norm(landmarks[4] - landmarks[3])), 0.5 * unit)
    features = np.zeros((side, side), np.float32)
    for centre, radii in (
        # An eye with its brow: the oval reaches further up than down.
        (eyes[0] - 0.1 * unit * down, (0.38 * unit, 0.32 * unit)),
        (eyes[1] - 0.1 * unit * down, (0.38 * unit, 0.32 * unit)),
        (landmarks[2] + 0.08 * unit * down, (0.3 * unit, 0.16 * unit)),
        (mouth, (0.68 * mouth_width, 0.3 * unit)),
    ):
        axes = (max(1, round(radii[0])), max(1, round(radii[1])))
        x, y = np.clip(np.rint(centre), -side, 2 * side).astype(int)
        cv2.ellipse(features, (int(x), int(y)), axes, angle, 0, 360, 1.0, -1)
    soft = cv2.GaussianBlur(features, (0, 0), max(0.5, 0.07 * unit))
    return np.asarray(1.0 - soft, np.float32)


def _single(values: NDArray[np.floating]) -> Mask:
    return np.asarray(values, np.float32)


def _smoothstep(values: Mask) -> Mask:
    """0 below 0, 1 above 1, 3t^2 - 2t^3 between."""
    t = np.clip(values, 0.0, 1.0)
    return t * t * (3 - 2 * t)
