"""The account and the process: what can lose money or wake somebody."""

import os

# Arrow reads it when it is loaded. Its own allocator keeps for each of its threads what that one had once, so that a session which hands
# its candles to each training grows; with the system's, memory that is free is given back.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
