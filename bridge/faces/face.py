"""Face, Landmarks, SimilarityTransform and Crop: the coordinate conventions.

A coordinate (x, y) names a point in pixels of the upright photo, x to the right,
y down. (0, 0) is the CENTRE of the top left pixel, as in OpenCV's warps; a box
(x0, y0, x1, y1) spans from point to point in the same coordinates. "Left" means
left in the image. Pure NumPy: knows nothing of detectors or networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.imaging.image import FloatPixels

Points = NDArray[np.float64]
"""N x 2 float64, (x, y) in pixels."""

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 in pixels, x0 < x1 and y0 < y1."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photo.

    Attributes:
        box: the detector's box.
        landmarks: 5 x 2: left eye, right eye, nose tip, left and right mouth corner, as the
            person would be seen upright (for a lying face the points lie accordingly).
        score: detection score, 0-1.
        strength: this face's own strength 0-100; None: that of the request.
    """

    box: Box
    landmarks: Points
    score: float = 1.0
    strength: int | None = None

    @property
    def size(self) -> float:
        """The smaller side of the box in pixels."""
        return min(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass(frozen=True, eq=False)
class SimilarityTransform:
    """Rotation, uniform scale and shift, from photo to crop: `crop = A @ (x, y, 1)`.

    Attributes:
        matrix: 2 x 3 float64.
    """

    matrix: NDArray[np.float64]

    @property
    def scale(self) -> float:
        """Crop pixels per photo pixel; under 1 when the face is larger than the crop."""
        return float(np.hypot(self.matrix[0, 0], self.matrix[1, 0]))

    @property
    def inverse(self) -> SimilarityTransform:
        """From crop to photo."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return SimilarityTransform(np.hstack([linear, -linear @ self.matrix[:, 2:]]))

    def apply(self, points: Points) -> Points:
        """Map N x 2 points."""
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]


@dataclass(frozen=True, eq=False)
class Crop:
    """One face on the template.

    Attributes:
        pixels: S x S x 3 float32, in the encoding of the photo that it was cut from, 0-1.
        transform: photo -> crop.
        landmarks: 5 x 2, in pixels of the crop.
    """

    pixels: FloatPixels
    transform: SimilarityTransform
    landmarks: Points

    @property
    def side(self) -> int:
        """S, in pixels."""
        return int(self.pixels.shape[0])
