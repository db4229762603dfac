"""Who gives way to whom on a busy machine: what works beside a session gives way to it."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Final

import psutil

_NICE: Final = 10 if sys.platform != "win32" else 0x4000  # there, the class below normal


def give_way(pid: int) -> None:
    """Make a child that was just started nice, before it has threads of its own to pass that on to.

    Linux may weigh sessions of processes against each other first, and only then the processes of one: that weight is set too.
    """
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(pid).nice(_NICE)
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE), encoding="ascii")
