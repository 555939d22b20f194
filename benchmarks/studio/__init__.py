"""A studio's bridge, shown by runs (`python -m benchmarks.studio`) and sized on paper (`.sizing`)."""
