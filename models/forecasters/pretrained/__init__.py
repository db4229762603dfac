"""Models of time series that others trained before the run, and the rule that what they may have seen does not count."""
