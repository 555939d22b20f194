"""A 16-bit portrait with everything that rides along."""

from __future__ import annotations

import pytest

from bridge.imaging.image import Image, Metadata
from bridge.imaging.profiles import built_in
from tests.imaging.samples import IPTC, XMP, exif_block, pixels


@pytest.fixture
def full_metadata() -> Metadata:
    return Metadata(exif=exif_block(), xmp=XMP, iptc=IPTC, dots_per_inch=(300.0, 300.0))


@pytest.fixture
def portrait(full_metadata: Metadata) -> Image:
    """16-bit ProPhoto with everything that rides along."""
    return Image(pixels(31, 23, 3, "uint16"), built_in("ProPhoto RGB"), full_metadata)
