"""From bars to forecasts, and how models live and die."""
