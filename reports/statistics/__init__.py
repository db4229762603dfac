"""Statistics of forecasts and accounts. Arrays in, numbers out."""
