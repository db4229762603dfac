"""Strategies as Backtrader's users write them: taken over from no one, but in the manner of its documentation, samples and forum."""
