"""File formats at byte level: pixels and the blocks that ride along, in and out of each container."""
