"""How the simulated broker executes an order."""
