"""Process priority: what works beside a session gives way to it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import psutil

_NICE: Final = 10 if sys.platform != "win32" else 0x4000  # there, the class below normal


def give_way(pid: int) -> None:
    """Lower the priority of a child that was just started, before it has threads that would keep the old one.

    Linux may weigh sessions of processes against each other first, and only then the processes of one: that weight is set too. So the
    child must have been started in a session of its own.
    """
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(pid).nice(_NICE)
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE), encoding="ascii")
