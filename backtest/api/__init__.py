"""The Python interface, for notebooks and scripts: candles, walk-forward forecasts, backtests and audits as objects."""
