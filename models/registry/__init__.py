"""Saved models, their cards, and the log of promotions."""
