"""Backtrader classes: indicator, strategy, broker, recorders, and the assembly of a Cerebro."""
