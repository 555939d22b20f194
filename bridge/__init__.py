"""GPEN Enhance: a local bridge between Lightroom, Photoshop and the GPEN network."""

__version__ = "0.1.0"
