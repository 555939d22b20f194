"""The pillar of tensors: GPEN as a network. torch, no image files."""
