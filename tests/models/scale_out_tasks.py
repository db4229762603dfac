"""Tasks that workers in other processes can find."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from forwardtrader.core.errors import TooLittleHistory


def total(shared: np.ndarray, item: int) -> tuple[float, int]:
    time.sleep(0.02)
    return float(shared[: item + 1].sum()), os.getpid()


def fail_at_three(_: np.ndarray, item: int) -> int:
    if item == 3:
        raise TooLittleHistory("three is too little")
    return item


def die_once(folder: Path, item: int) -> int:
    """The first process that comes here ends at once."""
    if item == 2 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def quick(_: np.ndarray, item: int) -> int:
    time.sleep(0.0005)
    return item
