"""Checkpoints: known, installed, trusted. Imports torch only when a file is opened or imported."""

from bridge.checkpoints.download import Progress
from bridge.checkpoints.library import AUTO, Checkpoints, Verified
from bridge.checkpoints.manifest import Entry, Licence

__all__ = ["AUTO", "Checkpoints", "Entry", "Licence", "Progress", "Verified"]
