"""External factors with the time at which each value became known."""
