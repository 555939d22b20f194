"""The GPEN network: architecture, layers, checkpoints, inference. Tensors only, no image files."""
