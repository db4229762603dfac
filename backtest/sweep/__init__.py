"""Parameter search: every point is a backtest and counts as a trial."""
