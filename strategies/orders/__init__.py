"""Kinds of orders that mean the same at every broker, simulated or live."""
