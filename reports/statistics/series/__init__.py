"""What a series of prices is like: stationarity, dependence in time, seasons, volatility, regimes, and what other series say of it."""
