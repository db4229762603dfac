"""The recorders of a run: what was ordered, executed, owned, and which stops rested."""
