"""Candles: their schema, the store that keeps them, and the files it consists of."""
