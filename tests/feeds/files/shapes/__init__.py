"""Shapes of candle files that people have, each made from candles whose values are known."""
