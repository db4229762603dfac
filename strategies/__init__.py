"""From forecasts to orders."""
