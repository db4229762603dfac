"""What each feature adds to the forecasts of a run."""
