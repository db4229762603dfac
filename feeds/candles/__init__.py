"""Candles: the schema, the store, and its file format."""
