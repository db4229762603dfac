"""The decision for all symbols of an account together."""
