"""Image: pixels, ICC profile and metadata, and the conventions that every array keeps.

Arrays are H x W x C, C-contiguous, RGB order (never the order that OpenCV likes),
row 0 at the top. Knows nothing of files, faces or networks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8 | np.uint16 | np.float32]
"""H x W x C; uint8 0-255 and uint16 0-65535 in the profile's encoding, float32 0-1 likewise."""

FloatPixels = NDArray[np.float32]
"""H x W x C float32; the docstring of each function says which encoding and range."""

Array = NDArray[Any]

FULL_SCALE: dict[np.dtype[Any], float] = {
    np.dtype(np.uint8): 255.0,
    np.dtype(np.uint16): 65535.0,
    np.dtype(np.float32): 1.0,
}
"""The value that means white, by dtype."""


@dataclass(frozen=True)
class Metadata:
    """What rides along untouched, as the raw blocks that every container can embed.

    Attributes:
        exif: a TIFF structure ("II*\\0" or "MM\\0*" first, no "Exif\\0\\0" before it), GPS included.
        xmp: an XMP packet, UTF-8.
        iptc: IPTC-IIM records (the content of Photoshop resource 0x0404).
        dots_per_inch: horizontal and vertical resolution.
        orientation: EXIF orientation 1-8 of the file; 1 once it has been applied to the pixels.
        warnings: sentences about what of the file could not be read or is not carried on.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    dots_per_inch: tuple[float, float] | None = None
    orientation: int = 1
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """A decoded picture.

    Attributes:
        pixels: H x W x C; C is 1 gray, 2 gray + alpha, 3 RGB, 4 RGB + alpha; alpha is unassociated.
        icc: the embedded profile, byte for byte, or one of ours where a PNG or a camera's EXIF only
            names its colour space; None means sRGB (or gray with sRGB's curve).
        metadata: what rides along.
    """

    pixels: Pixels
    icc: bytes | None = None
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] not in (1, 2, 3, 4):
            raise ValueError(f"pixels must be H x W x 1..4, not {self.pixels.shape}")
        if self.pixels.dtype not in FULL_SCALE:
            raise ValueError(f"pixels must be uint8, uint16 or float32, not {self.pixels.dtype}")

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def has_alpha(self) -> bool:
        """Whether the last channel is alpha."""
        return self.pixels.shape[2] in (2, 4)

    @property
    def is_gray(self) -> bool:
        """Whether there is one colour channel."""
        return self.pixels.shape[2] in (1, 2)

    @property
    def colour(self) -> Pixels:
        """The colour channels, H x W x 1 or H x W x 3: a view, without alpha."""
        return self.pixels[..., : 1 if self.is_gray else 3]

    @property
    def full_scale(self) -> float:
        """The pixel value that means white."""
        return FULL_SCALE[self.pixels.dtype]

    def with_colour(self, colour: Pixels) -> Image:
        """A copy with other colour channels (same shape and dtype as `colour`), alpha kept."""
        if colour.shape != self.colour.shape or colour.dtype != self.pixels.dtype:
            raise ValueError(f"colour must be {self.colour.shape} {self.pixels.dtype}")
        if not self.has_alpha:
            return replace(self, pixels=colour)
        return replace(self, pixels=np.concatenate([colour, self.pixels[..., -1:]], axis=2))
