"""Replays a recorded session through the backtest and compares the two bar by bar."""
