"""The walk of the fast replay, with an account of cash and with one on margin."""
