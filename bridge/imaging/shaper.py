"""Profiles of curves and a matrix, evaluated directly: several times as fast as LittleCMS in float.

ICC.1:2022, annex F.3 (matrix and curves) and F.2 (gray). What it cannot evaluate exactly, and
invert, it leaves to LittleCMS. Knows no file format.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bridge.imaging import icc
from bridge.imaging.image import FloatPixels
from bridge.imaging.profiles import built_in

_RGB_CURVES = (b"rTRC", b"gTRC", b"bTRC")
_COLORANTS = (b"rXYZ", b"gXYZ", b"bXYZ")
_TABLES = (b"A2B", b"B2A", b"D2B", b"B2D")


class Curve(Protocol):
    """A rising function of 0 to 1, continued mirrored below 0 and without bound above 1."""

    def linear(self, encoded: FloatPixels) -> FloatPixels:
        """Encoded -> linear."""

    def encoded(self, linear: FloatPixels) -> FloatPixels:
        """Linear -> encoded."""


@dataclass(frozen=True)
class Power:
    """(a x + b)^g + e from d on, c x + f below: the parametric curves of ICC.1 10.18."""

    g: float
    a: float = 1
    b: float = 0
    c: float = 0
    d: float = 0
    e: float = 0
    f: float = 0

    def linear(self, encoded: FloatPixels) -> FloatPixels:
        """Encoded -> linear."""
        size = np.abs(encoded)
        result = (np.float32(self.a) * size + np.float32(self.b)) ** np.float32(self.g) + np.float32(self.e)
        if self.d > 0:
            result = np.where(size < self.d, np.float32(self.c) * size + np.float32(self.f), result)
        return _with_sign(result, encoded)

    def encoded(self, linear: FloatPixels) -> FloatPixels:
        """Linear -> encoded."""
        size = np.abs(linear)
        above = np.maximum(size - np.float32(self.e), 0)
        result = (above ** np.float32(1 / self.g) - np.float32(self.b)) / np.float32(self.a)
        if self.d > 0:
            below = (size - np.float32(self.f)) / np.float32(self.c)
            result = np.where(size < self.c * self.d + self.f, below, result)
        return _with_sign(result, linear)


@dataclass(frozen=True, eq=False)
class Table:
    """Straight lines between evenly spaced points: the sampled curves of ICC.1 10.6."""

    points: NDArray[np.float64]

    def linear(self, encoded: FloatPixels) -> FloatPixels:
        """Encoded -> linear."""
        return _interpolated(encoded, np.linspace(0, 1, len(self.points)), self.points)

    def encoded(self, linear: FloatPixels) -> FloatPixels:
        """Linear -> encoded."""
        points, first = np.unique(self.points, return_index=True)  # gammas in 16 bits begin flat
        return _interpolated(linear, points, first / (len(self.points) - 1))


def _interpolated(values: FloatPixels, x: NDArray[np.float64], y: NDArray[np.float64]) -> FloatPixels:
    """Linear interpolation, which goes on past the last point as straight as it came there."""
    size = np.abs(values)
    slope = (y[-1] - y[-2]) / (x[-1] - x[-2])
    result = np.interp(size, x, y) + np.maximum(size - x[-1], 0) * slope
    return _with_sign(result, values)


def _with_sign(size: FloatPixels | NDArray[np.float64], of: FloatPixels) -> FloatPixels:
    """The curve's mirror image below 0."""
    result: FloatPixels = np.copysign(size, of, dtype=np.float32)
    return result


@dataclass(frozen=True, eq=False)
class Shaper:
    """A profile as a curve for each channel and a matrix to linear sRGB (none for gray)."""

    curves: tuple[Curve, ...]
    matrix: NDArray[np.float64] | None

    def linear(self, encoded: FloatPixels) -> FloatPixels:
        """H x W x C in the profile's encoding -> linear sRGB, or linear gray."""
        shaped = _each(encoded, [curve.linear for curve in self.curves])
        return shaped if self.matrix is None else shaped @ self.matrix.T.astype(np.float32)

    def encoded(self, linear: FloatPixels) -> FloatPixels:
        """The way back."""
        if self.matrix is not None:
            linear = linear @ np.linalg.inv(self.matrix).T.astype(np.float32)
        return _each(linear, [curve.encoded for curve in self.curves])


def _each(values: FloatPixels, functions: list[Callable[[FloatPixels], FloatPixels]]) -> FloatPixels:
    """Each channel through its function; at once where they are the same."""
    if len(set(functions)) == 1:
        return functions[0](values)
    return np.stack([function(values[..., i]) for i, function in enumerate(functions)], axis=-1)


def shaper(profile: icc.Profile) -> Shaper | None:
    """The profile's curves and matrix; None if it has tables, or curves that do not rise throughout."""
    if any(tag.startswith(_TABLES) for tag in profile.tags) or profile.connection != b"XYZ ":
        return None
    gray = profile.space == b"GRAY"
    names = (b"kTRC",) if gray else _RGB_CURVES
    contents = [profile.tags.get(name, b"") for name in names]
    read = {content: _curve(content) for content in set(contents)}
    curves = tuple(curve for content in contents if (curve := read[content]) is not None)
    colorants = None if gray else _colorants(profile)
    if len(curves) < len(names) or (not gray and colorants is None):
        return None
    if colorants is None:
        return Shaper(curves, None)
    srgb = _colorants(icc.parse(built_in("sRGB")))
    assert srgb is not None  # noqa: S101 - ours has colorants; the line is for mypy
    return Shaper(curves, np.asarray(np.linalg.solve(srgb, colorants), np.float64))


def _colorants(profile: icc.Profile) -> NDArray[np.float64] | None:
    """RGB -> XYZ of the connection space, as columns; None if absent or not invertible."""
    contents = [profile.tags.get(name, b"") for name in _COLORANTS]
    if any(len(content) < 20 or content[:4] != b"XYZ " for content in contents):
        return None
    matrix = np.array([np.frombuffer(content[8:20], ">i4") / 65536 for content in contents]).T
    return matrix if abs(np.linalg.det(matrix)) > 1e-4 else None


def _curve(content: bytes) -> Curve | None:
    """The curve of a tag; None if it is of a kind that cannot be inverted."""
    count = int.from_bytes(content[8:12], "big")
    if content[:4] == b"curv" and len(content) >= 12 + 2 * count:
        values = np.frombuffer(content[12 : 12 + 2 * count], ">u2")
        if count <= 1:
            gamma = float(values[0]) / 256 if count else 1.0
            return Power(gamma) if gamma > 0 else None
        points = values / 65535
        rises = (np.diff(points) >= 0).all() and points[-1] > points[-2]
        return Table(points) if rises else None
    if content[:4] == b"para":
        kind = int.from_bytes(content[8:10], "big")
        size = {0: 1, 3: 5, 4: 7}.get(kind, 0)
        if not size or len(content) < 12 + 4 * size:
            return None
        power = Power(*(value / 65536 for value in struct.unpack_from(f">{size}i", content, 12)))
        rises = power.g > 0 and power.a > 0 and (power.c > 0 or power.d <= 0)
        return power if rises else None
    return None
