"""Markets without an edge, and with a planted one, through the whole pipeline."""
