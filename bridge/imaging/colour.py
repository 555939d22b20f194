"""ICC profile <-> working space: H x W x 3 float32, sRGB-encoded. Knows no file format.

Relative colorimetric with black point compensation, in float: profiles of curves and a matrix by
`shaper`, all others by LittleCMS through imagecodecs. Nothing is clipped, so that colours outside
sRGB survive the way there and back: they lie outside [0, 1] in the working space, where the curve
of sRGB continues mirrored below 0.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Literal

import imagecodecs
import numpy as np

from bridge.errors import ProfileError
from bridge.imaging import icc as icc_file
from bridge.imaging.image import FULL_SCALE, FloatPixels, Pixels
from bridge.imaging.profiles import built_in, named_profile
from bridge.imaging.shaper import Power, Shaper, shaper

__all__ = ["filtered", "from_working", "linearised", "named_profile", "problem", "to_working"]

_RELATIVE_COLORIMETRIC = 1
_BLACK_POINT_COMPENSATION = 0x2000
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB, IEC 61966-2-1
_SRGB = Power(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # its curve, IEC 61966-2-1
_SAME = 1e-3  # profiles this close to sRGB are taken for it: a quarter of an 8-bit step
_LINEAR_FROM = 0.37  # light of an encoded 0.5: 0.5 if linear, 0.35 for a gamma of 1.5, 0.21 in sRGB
_BAND_PIXELS = 1 << 18
_TRIED = (-0.5, 0.0, 0.02, 0.5, 1.0, 1.5)  # encoded values, and some outside, that must stay numbers
_WORKERS = min(8, os.cpu_count() or 1)  # LittleCMS releases the interpreter's lock
_UNUSABLE_KINDS = (b"link", b"abst", b"nmcl")


def to_working(colour: Pixels, icc: bytes | None) -> FloatPixels:
    """Convert from the document's profile.

    Args:
        colour: H x W x 1 or 3 uint8, uint16 or float32 (0 to 1), in the profile's encoding.
        icc: None, or a profile that `problem` finds fault with, counts as sRGB, in grayscale as
            gray with sRGB's curve.

    Returns:
        H x W x 3 float32, sRGB-encoded, in [0, 1] but for colours outside sRGB; gray as R = G = B.
    """
    channels = colour.shape[2]
    encoded = colour.astype(np.float32) / np.float32(FULL_SCALE[colour.dtype])
    if icc is not None and not _is_working(icc, channels):
        encoded = _SRGB.encoded(_linear(encoded, icc))
    return np.repeat(encoded, 3, axis=2) if channels == 1 else encoded


def from_working(working: FloatPixels, icc: bytes | None, *, channels: Literal[1, 3]) -> FloatPixels:
    """Convert to the document's profile.

    Args:
        working: H x W x 3 float32, sRGB-encoded.
        icc: as for `to_working`.
        channels: of the document: 1 gives the luminance.

    Returns:
        H x W x `channels` float32 in the profile's encoding, white being 1; not rounded to any
        depth, and outside [0, 1] where the document's space does not hold the colour.
    """
    if icc is None or _is_working(icc, channels):
        return working.astype(np.float32) if channels == 3 else _SRGB.encoded(_luminance(working))
    return _encoded(_SRGB.linear(working) if channels == 3 else _luminance(working), icc)


def _luminance(working: FloatPixels) -> FloatPixels:
    """H x W x 1, linear."""
    return (_SRGB.linear(working) @ _LUMINANCE)[..., None]


def filtered(colour: Pixels, icc: bytes | None, filter_: Callable[[Pixels], Pixels]) -> Pixels:
    """The result of a filter that takes values as they look: linear light is encoded for it and back.

    In linear light noise is far stronger in highlights than in shadows, where the eye sees the opposite,
    and the dark side of an edge shows a halo twice as strong.

    Args:
        colour: H x W x 1 or 3, in the profile's encoding. Not modified.
        icc: as for `to_working`.
        filter_: pixels -> pixels of the same shape and dtype, or the very ones that it was given.

    Returns:
        Same shape and dtype; pixels that the filter leaves alone stay as they are, bit for bit.
    """
    if icc is None or not _is_linear(icc, colour.shape[2]):
        return filter_(colour)
    full_scale = np.float32(FULL_SCALE[colour.dtype])
    before = _SRGB.encoded(colour.astype(np.float32) / full_scale)
    after = filter_(before)
    if after is before:
        return colour
    decoded = _SRGB.linear(np.asarray(after, np.float32)) * full_scale
    if colour.dtype != np.float32:
        decoded = np.clip(np.rint(decoded), 0, full_scale)
    return np.where(after == before, colour, decoded.astype(colour.dtype))


def linearised(icc: bytes | None, *, gray: bool = False) -> bytes:
    """The profile with the same primaries and linear curves, for pixels that are linear.

    Args:
        icc: None means sRGB, or sRGB's curve.
        gray: whether None stands for a grayscale document.

    Raises:
        ProfileError: a damaged profile, or one of tables, which has no linear form.
    """
    return icc_file.linear(built_in("sGray" if gray else "sRGB") if icc is None else icc)


@lru_cache(maxsize=16)
def problem(icc: bytes | None, channels: int) -> str | None:
    """Why a profile cannot be used with pixels of this many colour channels; None if it can.

    A picture with such a profile is still worth enhancing: it is treated as sRGB, with a warning,
    and keeps the profile.
    """
    if icc is None:
        return None
    try:
        profile = icc_file.parse(icc)
        if profile.space != (b"GRAY" if channels == 1 else b"RGB "):
            return f"it is for {profile.space.decode('latin-1').strip()}, not for this picture's channels"
        if profile.kind in _UNUSABLE_KINDS:
            return "it is not the profile of a device or working space"
        sample = np.full((1, 1, channels), 0.5, np.float32)
        there = _transformed(sample, icc, _linear_profile(channels))
        back = _transformed(there, _linear_profile(channels), icc)
        ends = np.repeat(np.array(_TRIED, np.float32)[:, None, None], channels, axis=2)
        with np.errstate(all="ignore"):  # our own arithmetic, whose figures LittleCMS may have clipped
            shaped = _linear(ends, icc)
            numbers = (there, back, shaped, _encoded(shaped, icc), _encoded(ends, icc))
            sound = all(np.isfinite(found).all() for found in numbers)
    except ProfileError as error:
        return str(error)
    return None if sound else "it gives no numbers"


@lru_cache(maxsize=16)
def _is_working(icc: bytes, channels: int) -> bool:
    """Whether the document's encoding is, or has to be taken for, that of the working space."""
    if problem(icc, channels):
        return True
    levels = np.linspace(0, 1, 9, dtype=np.float32)
    cube = np.stack(np.meshgrid(*[levels] * channels, indexing="ij"), -1).reshape(1, -1, channels)
    return bool(np.abs(_SRGB.encoded(_linear(cube, icc)) - cube).max() < _SAME)


@lru_cache(maxsize=16)
def _is_linear(icc: bytes, channels: int) -> bool:
    """Whether values stand for amounts of light rather than for what they look like."""
    if problem(icc, channels):
        return False
    gray = np.full((1, 1, channels), 0.5, np.float32)
    return float(_linear(gray, icc).mean()) > _LINEAR_FROM


def _linear(encoded: FloatPixels, icc: bytes) -> FloatPixels:
    """H x W x C in the profile's encoding -> linear sRGB, or linear gray."""
    direct = _shaper(icc)
    return direct.linear(encoded) if direct else _transformed(encoded, icc, _linear_profile(encoded.shape[2]))


def _encoded(linear: FloatPixels, icc: bytes) -> FloatPixels:
    """Linear sRGB, or linear gray -> H x W x C in the profile's encoding."""
    direct = _shaper(icc)
    return direct.encoded(linear) if direct else _transformed(linear, _linear_profile(linear.shape[2]), icc)


@lru_cache(maxsize=16)
def _shaper(icc: bytes) -> Shaper | None:
    return shaper(icc_file.parse(icc))


@lru_cache
def _linear_profile(channels: int) -> bytes:
    """What LittleCMS converts to: linear sRGB, or linear gray."""
    return icc_file.linear(built_in("sGray" if channels == 1 else "sRGB"))


def _transformed(colour: FloatPixels, source: bytes, target: bytes) -> FloatPixels:
    """H x W x C float32 -> the same shape in another profile of as many channels, unclipped.

    Raises:
        ProfileError: LittleCMS cannot use one of the profiles.
    """
    height, width, channels = colour.shape
    space = "gray" if channels == 1 else "rgb"
    result = np.empty_like(colour)
    rows = max(1, _BAND_PIXELS // max(width, 1))

    def convert(top: int) -> None:
        band = np.ascontiguousarray(colour[top : top + rows])
        result[top : top + rows] = imagecodecs.cms_transform(
            band[..., 0] if channels == 1 else band,
            source,
            target,
            colorspace=space,
            outcolorspace=space,
            outdtype=np.float32,
            intent=_RELATIVE_COLORIMETRIC,
            flags=_BLACK_POINT_COMPENSATION,
        ).reshape(band.shape)

    try:
        with ThreadPoolExecutor(_WORKERS) as pool:
            list(pool.map(convert, range(0, height, rows)))
    except (RuntimeError, ValueError) as error:
        raise ProfileError(f"LittleCMS cannot use the ICC profile: {error}.") from error
    return result
