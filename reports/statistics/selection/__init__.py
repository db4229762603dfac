"""What choosing among many costs: tests that correct for it."""
