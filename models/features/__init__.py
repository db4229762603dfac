"""From bars to model inputs, in batch and one bar at a time."""
