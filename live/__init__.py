"""The account and the process: what can lose money or wake somebody."""

import os

import forwardtrader as forwardtrader  # ends a command that is run by a Python without the packages in one line

# Arrow reads it when it is loaded. Its own allocator keeps for each of its threads what that one had once, so that a session which hands
# its candles to each training grows; with the system's, memory that is free is given back.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
