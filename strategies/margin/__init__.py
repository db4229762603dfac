"""The margin account of linear perpetuals: pure rules and one small class, the same for the broker, the fast replay, paper and parity."""
