"""Memory that long tables took for a moment goes back to the system, and not into a heap that grows with the session."""

from __future__ import annotations

import ctypes
import sys


def use_plain_pool() -> None:
    """Have tables of files allocated as everything else is; Arrow's own allocator keeps what its threads once had."""
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())


def give_back() -> None:
    """Let go of what is free; to be called in a thread that is in no hurry."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have their own ways
        if trim is not None:
            trim(0)
