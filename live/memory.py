"""Memory that long tables took for a moment goes back to the system, and not into a heap that grows with the session."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Let go of what is free; to be called in a thread that is in no hurry."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # other C libraries have their own ways
        if trim is not None:
            trim(0)
