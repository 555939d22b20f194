"""Crops -> batches of degraded and wanted pictures, the same for the same seed and step.

A step's samples depend on nothing but seed and step, so a run that resumes goes on with
the very pictures that it would have seen. One thread prepares the next batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from weights.recipe.crops import Crops
from weights.recipe.degrade import degrade, sampled, target

AHEAD = 2
Batch = tuple[Tensor, Tensor]
"""(degraded, wanted), both N x 3 x S x S float32, [-1, 1], RGB."""


def batch(crops: Crops, size: int, seed: int, step: int, patch: int | None = None) -> Batch:
    """One batch: faces drawn evenly, half of them mirrored, each degraded in its own way.

    Args:
        patch: side of a square to cut from each face, anywhere; None: whole faces.
    """
    random = np.random.default_rng([seed, step])
    degraded, wanted = [], []
    for _ in range(size):
        face = crops.pixels[random.integers(len(crops.pixels)), random.integers(crops.pixels.shape[1])]
        if random.random() < 0.5:
            face = face[:, ::-1]
        if patch:
            top, left = random.integers(face.shape[0] - patch + 1, size=2)
            face = face[top : top + patch, left : left + patch]
        photo = face.astype(np.float32) / np.float32(255)
        how = sampled(random)
        degraded.append(degrade(photo, how, random))
        wanted.append(target(photo, how))
    return tensor(np.stack(degraded)), tensor(np.stack(wanted))


def batches(
    crops: Crops, size: int, seed: int, first: int, last: int, patch: int | None = None
) -> Iterator[tuple[int, Batch]]:
    """(step, batch) from step `first` to the one before `last`."""
    with ThreadPoolExecutor(1) as pool:
        waiting: dict[int, Future[Batch]] = {}
        for step in range(first, last):
            for ahead in range(step, min(step + AHEAD + 1, last)):
                if ahead not in waiting:
                    waiting[ahead] = pool.submit(batch, crops, size, seed, ahead, patch)
            yield step, waiting.pop(step).result()


def tensor(pixels: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Tensor:
    """N x S x S x 3 in [0, 1] -> N x 3 x S x S in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))) * 2 - 1
