"""What time-series analysis knows of a market, as causal features; they come on request."""
