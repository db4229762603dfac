"""Recovery of an account: its comparison with the venue at the start and while it runs."""
