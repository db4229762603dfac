"""`forwardtrader analyse`: a page about the time series of a symbol."""
