"""What every test may ask for: a real face, and a photo around it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """A public-domain portrait, 512 x 512 x 3 uint8: one face, about 90 x 113 pixels."""
    data = pytest.importorskip("skimage.data", reason="the demo extra ships the portrait")
    pixels: NDArray[np.uint8] = np.ascontiguousarray(data.astronaut())
    pixels.setflags(write=False)
    return pixels
