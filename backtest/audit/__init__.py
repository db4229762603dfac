"""Proofs that nothing computed at a bar depends on a later one: features, labels, factors, forecasts, strategies."""
