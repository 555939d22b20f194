"""What a user waits for beside the network, measured; `python -m benchmarks.endtoend` runs all of it."""
