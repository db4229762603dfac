"""Factors that fetch themselves: one adapter for each kind of source, for history and live alike, and what becomes of their answers."""
