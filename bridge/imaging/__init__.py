"""The pillar of pixels: files, colour, metadata and filters. NumPy, no torch."""
