"""The words all rooms speak."""
