"""Faults that the practice exchange can inject."""
