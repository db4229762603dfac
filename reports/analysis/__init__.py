"""The page of a time-series analysis."""
