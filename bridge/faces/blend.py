"""Restored crops -> Image: what the network changed, carried back into the photo.

A face comes back as a residual (restored minus original) on its crop, so that a
photo finer than the network keeps its finer detail: the residual is band-limited
by the crop, the photo is not (docs/decisions/0003). Knows nothing of networks,
colour spaces or how the residual came about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from bridge.faces.face import SimilarityTransform
from bridge.faces.mask import Mask
from bridge.imaging.image import FULL_SCALE, FloatPixels, Pixels
from bridge.imaging.tiles import OPENCV_DEPTH

STRIP = 512
"""Rows blended at once: bounds the memory that a face needs, however large it is."""
LARGEST_PREPARED = 2048
"""Side up to which a crop is enlarged before it is turned into place."""
RIM = 4
"""Pixels kept around what a mask shows, for the interpolation."""

Rect = tuple[int, int, int, int]
"""x0, y0, x1, y1 in whole pixels, half open."""


@dataclass(frozen=True, eq=False)
class Patch:
    """What one face changes.

    Attributes:
        residual: h x w x (1|3) float32 in the document's encoding, where 1 is full scale.
        mask: h x w float32, 0-1.
        transform: photo -> residual and mask.
        weight: how much of it is wanted, 0-1.
    """

    residual: FloatPixels
    mask: Mask
    transform: SimilarityTransform
    weight: float = 1.0

    def compact(self) -> Patch:
        """Only what has to be kept: what its mask shows, a third of a crop, and no finer than the photo.

        So the faces of a crowd together take no more memory than the photo has room for faces.
        """
        rows, columns = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if not rows.size:
            return self
        top, left = max(int(rows[0]) - RIM, 0), max(int(columns[0]) - RIM, 0)
        part = np.s_[top : int(rows[-1]) + 1 + RIM, left : int(columns[-1]) + 1 + RIM]
        matrix = self.transform.matrix - np.array([[0, 0, left], [0, 0, top]])
        shown = Patch(
            self.residual[part].copy(), self.mask[part].copy(), SimilarityTransform(matrix), self.weight
        )
        return shown.at_scale() if self.transform.scale > 1 else shown

    def at_scale(self) -> Patch:
        """The patch with its pixels as large as the photo's; itself where they are, to within one in all.

        Enlarging by a warp alone would round positions to 1/32 of a crop pixel, which shows as
        steps in a face several times the network's size; shrinking by it would skip pixels.
        """
        sides = np.array(self.mask.shape[::-1])
        factor = np.clip(1 / self.transform.scale, 2 / sides.min(), LARGEST_PREPARED / sides.max())
        if abs(factor - 1) * sides.max() < 1:
            return self
        wanted = np.maximum(np.rint(sides * factor), 2).astype(int)
        size = int(wanted[0]), int(wanted[1])
        enlarged = factor > 1
        residual = cv2.resize(
            self.residual, size, interpolation=cv2.INTER_CUBIC if enlarged else cv2.INTER_AREA
        )
        mask = cv2.resize(self.mask, size, interpolation=cv2.INTER_LINEAR if enlarged else cv2.INTER_AREA)
        stretch = (wanted / sides)[:, None]  # whole pixels: not quite the same factor on both axes
        matrix = self.transform.matrix * stretch
        matrix[:, 2:] += 0.5 * stretch - 0.5
        return Patch(
            np.asarray(residual, np.float32).reshape(size[1], size[0], self.residual.shape[2]),
            np.asarray(mask, np.float32),
            SimilarityTransform(matrix),
            self.weight,
        )


@dataclass(frozen=True, eq=False)
class _Placed:
    """A patch brought to the photo's own scale; only turning and shifting are left to do."""

    residual: FloatPixels
    mask: Mask
    to_crop: SimilarityTransform
    weight: float
    rect: Rect

    def share(self, rect: Rect) -> Mask:
        """The mask over a rectangle of the photo, h x w; 0 outside the crop."""
        return np.clip(self._cut(self.mask, rect, cv2.INTER_LINEAR), 0.0, 1.0)

    def change(self, rect: Rect) -> FloatPixels:
        """The residual over a rectangle of the photo, h x w x (1|3)."""
        cut = self._cut(self.residual, rect, cv2.INTER_CUBIC)
        return cut.reshape(*cut.shape[:2], self.residual.shape[2])

    def _cut(self, source: FloatPixels, rect: Rect, interpolation: int) -> FloatPixels:
        x0, y0, x1, y1 = rect
        matrix = self.to_crop.matrix.copy()
        matrix[:, 2] += matrix[:, :2] @ (x0, y0)
        cut = cv2.warpAffine(source, matrix, (x1 - x0, y1 - y0), flags=interpolation | cv2.WARP_INVERSE_MAP)
        return np.asarray(cut, np.float32)


def blend(colour: Pixels, patches: Sequence[Patch]) -> Pixels:
    """The photo with every face's change in place: photo + sum of weight * share * residual.

    Args:
        colour: H x W x (1|3), any dtype, in the document's encoding. Not modified.
        patches: the faces; where masks overlap each pixel belongs mostly to the face whose
            mask is larger there, and the shares never sum to more than the larger mask.

    Returns:
        A new array of the same shape and dtype. Where every mask is 0 the values are those
        of `colour`, bit for bit.
    """
    result: Pixels = np.array(colour, order="C")
    placed = _in_place([patch for patch in patches if patch.weight > 0], colour)
    for rect, near in _strips(placed):
        _assign(result, colour, rect, _sum_of_changes(near, _weighted(near, rect), rect))
    return result


def layers(colour: Pixels, patches: Sequence[Patch]) -> tuple[Pixels, Pixels]:
    """The restoration before mask and weight, and the mask, for a client that composes itself.

    Args:
        colour: as for `blend`.
        patches: the faces; the largest of their weights is left to the client.

    Returns:
        (image, mask): `image` is like `colour` with the whole residual wherever a mask is above
        0; `mask` is H x W x 1 of the same dtype (full scale is 1). With o the largest weight, the
        client's photo * (1 - mask * o) + image * mask * o is what `blend` gives.
    """
    image: Pixels = np.array(colour, order="C")
    largest = max((patch.weight for patch in patches), default=0.0)
    placed = _in_place(
        [replace(patch, weight=patch.weight / largest if largest else 1.0) for patch in patches], colour
    )
    mask = _covered(colour, placed)
    for rect, near in _strips(placed):
        weights = _weighted(near, rect)
        total = np.maximum(np.sum(weights, axis=0), np.float32(1e-6))
        change = _sum_of_changes(near, [weight / total for weight in weights], rect)
        x0, y0, x1, y1 = rect
        change[mask[y0:y1, x0:x1, 0] == 0] = 0
        _assign(image, colour, rect, change)
    return image, mask


def coverage(colour: Pixels, patches: Sequence[Patch]) -> Pixels:
    """Where the photo changes: H x W x 1 of colour's dtype, full scale over a face, 0 elsewhere."""
    return _covered(colour, _in_place([replace(patch, weight=1.0) for patch in patches], colour))


def _covered(colour: Pixels, placed: Sequence[_Placed]) -> Pixels:
    """The weights as a mask, H x W x 1 of colour's dtype."""
    mask: Pixels = np.zeros((*colour.shape[:2], 1), colour.dtype)
    full_scale = FULL_SCALE[colour.dtype]
    for rect, near in _strips(placed):
        x0, y0, x1, y1 = rect
        total = np.sum(_weighted(near, rect), axis=0) * np.float32(full_scale)
        rounded = total if mask.dtype == np.float32 else np.rint(total)
        mask[y0:y1, x0:x1, 0] = rounded.astype(mask.dtype)
    return mask


def _in_place(patches: Sequence[Patch], colour: Pixels) -> list[_Placed]:
    """The patches at the photo's scale, in an order that does not depend on theirs: sums round."""
    placed = [_place(patch, colour.shape[:2]) for patch in patches]
    return sorted(placed, key=lambda face: (face.rect, *face.to_crop.matrix.ravel()))


def _place(patch: Patch, shape: tuple[int, ...]) -> _Placed:
    ready = patch.at_scale()  # so that the warp only turns and shifts it
    rect = _rect(ready.mask, ready.transform, shape)
    return _Placed(ready.residual, ready.mask, ready.transform, ready.weight, rect)


def _rect(mask: Mask, to_crop: SimilarityTransform, shape: tuple[int, ...]) -> Rect:
    """The rectangle of the photo outside which the mask is 0; empty when it has no pixel."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return 0, 0, 0, 0
    left, right = columns[0] - 1.0, columns[-1] + 1.0
    top, bottom = rows[0] - 1.0, rows[-1] + 1.0
    corners = to_crop.inverse.apply(np.array([[left, top], [right, top], [left, bottom], [right, bottom]]))
    height, width = shape
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)) + 1, (width, height)).astype(int)
    return int(x0), int(y0), int(max(x0, x1)), int(max(y0, y1))


def _strips(placed: Sequence[_Placed]) -> Iterator[tuple[Rect, list[_Placed]]]:
    """Bands of each face's rectangle, with every face that reaches into the band."""
    for face in placed:
        x0, y0, x1, y1 = face.rect
        for top in range(y0, y1, STRIP):
            rect = (x0, top, x1, min(top + STRIP, y1))
            if x1 > x0:
                yield rect, [other for other in placed if _overlap(other.rect, rect)]


def _overlap(first: Rect, second: Rect) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def _weighted(near: Sequence[_Placed], rect: Rect) -> list[Mask]:
    """Each face's weight times its mask, divided where several claim a pixel: m_i * m_i / sum of m."""
    masks = [face.share(rect) for face in near]
    if len(masks) > 1:
        total = np.maximum(np.sum(masks, axis=0), np.float32(1e-6))
        masks = [np.asarray(mask * mask / total, np.float32) for mask in masks]
    return [face.weight * mask for face, mask in zip(near, masks, strict=True)]


def _sum_of_changes(near: Sequence[_Placed], weights: Sequence[Mask], rect: Rect) -> FloatPixels:
    """Sum of weight * residual over a rectangle, h x w x (1|3)."""
    change = near[0].change(rect)
    change *= weights[0][..., None]
    for face, weight in zip(near[1:], weights[1:], strict=True):
        change += face.change(rect) * weight[..., None]
    return change


def _assign(result: Pixels, colour: Pixels, rect: Rect, change: FloatPixels) -> None:
    """result = colour + change over a rectangle, rounded and clipped to the dtype; `change` is used up."""
    x0, y0, x1, y1 = rect
    change *= np.float32(FULL_SCALE[colour.dtype])
    target = result[y0:y1, x0:x1]
    depth = OPENCV_DEPTH[colour.dtype]  # adds, rounds and clips in one go
    target[...] = cv2.add(colour[y0:y1, x0:x1], change, dtype=depth).reshape(target.shape)
