"""Candle files that users bring: format, timestamps, symbol, import."""
