"""The forecasters: LSTM, boosted trees, baselines, and how their quantiles are calibrated."""
