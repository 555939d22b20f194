"""Faces in pixels: found, aligned, blended back. NumPy and OpenCV, no torch."""
