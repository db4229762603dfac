"""Sections of `run.json` and `sweep.json` that stand by themselves, and what all sections are made of."""
