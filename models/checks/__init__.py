"""Checks of models and labels: look-ahead, alignment, a market without an edge."""
