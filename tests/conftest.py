"""What every test may ask for: a real face, and a photo around it."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray

# Bytes that tests compare must not depend on which engine is the fastest on a busy machine. Bridges
# that tests start inherit it; what chooses an engine is tested where it is.
os.environ["GPEN_ENGINE"] = "torch"

# A busy machine is no failure.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# What must pass must not hang on luck: CI tries the same examples each time, developers new ones.
settings.register_profile("repeatable", settings.get_profile("patient"), derandomize=True, database=None)
settings.load_profile("repeatable" if os.environ.get("CI") else "patient")


@pytest.fixture(scope="session")
def portrait() -> NDArray[np.uint8]:
    """A public-domain portrait, 512 x 512 x 3 uint8: one face, about 90 x 113 pixels."""
    data = pytest.importorskip("skimage.data", reason="the demo extra ships the portrait")
    pixels: NDArray[np.uint8] = np.ascontiguousarray(data.astronaut())
    pixels.setflags(write=False)
    return pixels
