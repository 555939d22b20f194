"""How many small faces are found, and at what price: the closer look against one large look.

    python -m benchmarks.detection PORTRAITS_FOLDER [--megapixels 24] [--scenes 2]

Portraits are reduced until their faces have a known size and strewn over a mosaic of the pictures that
scikit-image ships, with a little noise. `closer look` is the detector as it is; `large look` is the same
with a second look of 2,560 pixels whose own score decides. Counted are faces found near where they were
put, and those found elsewhere, on scenes of each size and on the mosaics alone; the price is the median
processor time of both, taking turns.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
from numpy.typing import NDArray

from bridge.faces import detect
from bridge.faces.detect import Detector
from bridge.faces.face import Face
from bridge.imaging.codecs import decode
from bridge.imaging.image import Image

SIZES = (24, 30, 36, 48, 64, 96)
"""Smaller side of a face in pixels of a 24-megapixel photo."""
FORMS: dict[str, dict[str, Any]] = {
    "closer look": {"PROPOSED": detect.PROPOSED},
    "large look": {"FINE_SIDE": 2560, "SMALLEST_PROPOSED": 10, "PROPOSED": 1.0},
}
Bytes = NDArray[np.uint8]
Portrait = tuple[Bytes, Face]


def portraits(folder: Path, detector: Detector) -> list[Portrait]:
    """Pictures of one face each, with the face in them, at most 400 pixels large."""
    found = []
    for file in sorted(folder.glob("*.jpg")):
        pixels = decode(file.read_bytes(), max_megapixels=100).pixels
        scale = 400 / max(pixels.shape[:2])
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        faces = detector.detect(Image(np.asarray(small, np.uint8)))
        if len(faces) == 1:
            found.append((np.asarray(small, np.uint8), faces[0]))
    return found


def mosaic(height: int, width: int, rng: np.random.Generator) -> Bytes:
    """Pictures without faces, side by side."""
    import skimage.data

    sources = [
        getattr(skimage.data, name)() for name in ("coffee", "chelsea", "brick", "grass", "gravel", "coins")
    ]
    scene = np.zeros((height, width, 3), np.uint8)
    across, down = width // 5, height // 4
    for top in range(0, height, down):
        for left in range(0, width, across):
            source = sources[rng.integers(len(sources))]
            source = source if source.ndim == 3 else np.repeat(source[..., None], 3, axis=2)
            piece = cv2.resize(source, (across, down), interpolation=cv2.INTER_CUBIC)
            scene[top : top + down, left : left + across] = piece[: height - top, : width - left]
    return scene


def peopled(
    scene: Bytes, people: Sequence[Portrait], size: float, rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Put portraits whose faces have this size into a scene; returns the faces' centres."""
    centres = []
    cell = int(size * 6)
    for top in range(40, scene.shape[0] - cell, cell):
        for left in range(40, scene.shape[1] - cell, cell):
            if rng.random() > 60 * cell * cell / scene[..., 0].size:
                continue
            pixels, face = people[int(rng.integers(len(people)))]
            scale = size / face.size
            small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:cell, :cell]
            scene[top : top + small.shape[0], left : left + small.shape[1]] = small
            x0, y0, x1, y1 = face.box
            centres.append((left + (x0 + x1) / 2 * scale, top + (y0 + y1) / 2 * scale))
    return centres


def counted(faces: Sequence[Face], centres: Sequence[tuple[float, float]], size: float) -> tuple[int, int]:
    """Faces found where they are, and found elsewhere."""
    if not faces or not centres:
        return 0, len(faces)
    found = np.array([((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2) for face in faces])
    distances = np.linalg.norm(found[None] - np.array(centres)[:, None], axis=2)
    return int((distances.min(axis=1) < 0.6 * size).sum()), int((distances.min(axis=0) >= 0.6 * size).sum())


def timed(work: Callable[[], list[Face]]) -> tuple[list[Face], float]:
    """What it gives, and its processor time in seconds."""
    before = time.process_time()
    return work(), time.process_time() - before


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--scenes", type=int, default=2)
    options = parser.parse_args()
    detector = Detector()
    people = portraits(options.folder, detector)
    height = round((options.megapixels * 1e6 / 1.5) ** 0.5)
    width = round(height * 1.5)
    print(
        f"{options.megapixels:g} megapixels, {options.scenes} scenes of each size, {len(people)} portraits.\n"
    )
    print(
        "| faces of | there are | "
        + " | ".join(f"{form}: found | elsewhere | CPU s" for form in FORMS)
        + " |"
    )
    print("|---|---|" + "---|---|---|" * len(FORMS))
    for size in (None, *SIZES):
        rng = np.random.default_rng(7)
        there = 0
        right, wrong = dict.fromkeys(FORMS, 0), dict.fromkeys(FORMS, 0)
        seconds: dict[str, list[float]] = {form: [] for form in FORMS}
        for _ in range(options.scenes):
            scene = mosaic(height, width, rng)
            centres = peopled(scene, people, size, rng) if size else []
            scene = np.asarray(cv2.add(scene, rng.normal(0, 3, scene.shape), dtype=cv2.CV_8U), np.uint8)
            there += len(centres)
            for form, constants in FORMS.items():
                with mock.patch.multiple(detect, **constants):
                    faces, taken = timed(partial(detector.detect, Image(scene)))
                seconds[form].append(taken)
                found, elsewhere = counted(faces, centres, size or 1)
                right[form] += found
                wrong[form] += elsewhere
        row = " | ".join(f"{right[f]} | {wrong[f]} | {statistics.median(seconds[f]):.2f}" for f in FORMS)
        print(f"| {size or 'none'} | {there} | {row} |", flush=True)


if __name__ == "__main__":
    main()
