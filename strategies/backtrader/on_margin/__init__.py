"""An account of perpetuals at the simulated broker."""
