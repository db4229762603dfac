"""Do Backtrader strategies trade here as they do on plain Backtrader."""
