"""Several venues for one market: which of them can be trusted at a bar, and whose prices the features see."""
