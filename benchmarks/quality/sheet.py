"""The contact sheet: the same faces as they were, degraded, and by each remedy, at 100 %."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.measures import FloatImage
from bridge.imaging.sharpen import sharpen

BAR = 24
COLUMNS = ("original", "degraded", "non-local means", "unsharp mask", "GPEN-lite")


def sheet(
    rows: Sequence[tuple[FloatImage, FloatImage]], restore: Callable[[FloatImage], FloatImage]
) -> NDArray[np.uint8]:
    """One row for each (original, degraded), with what a retoucher would try first between them and ours.

    Returns:
        H x W x 3 uint8, captions on top.
    """
    lines = []
    for photo, worse in rows:
        bytes_ = _bytes(worse)
        calmer = cv2.fastNlMeansDenoisingColored(bytes_, None, 5, 5, 7, 21)
        parts = [_bytes(photo), bytes_, np.asarray(calmer), sharpen(bytes_, 50), _bytes(restore(worse))]
        lines.append(np.hstack([part.astype(np.uint8) for part in parts]))
    return np.vstack([_captions(lines[0].shape[1]), *lines])


def _captions(width: int) -> NDArray[np.uint8]:
    bar = np.zeros((BAR, width, 3), np.uint8)
    for index, caption in enumerate(COLUMNS):
        place = (index * width // len(COLUMNS) + 6, BAR - 8)
        cv2.putText(bar, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return bar


def _bytes(picture: FloatImage) -> NDArray[np.uint8]:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
