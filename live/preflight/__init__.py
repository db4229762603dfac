"""Checks before the first order."""
