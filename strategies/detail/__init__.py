"""Finer bars inside those that a strategy decides on: in which order prices came."""
