"""Closed bars in real time, from one venue or confirmed by several."""
