"""What code of the user's may change for the whole process, and what has to be the same after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Undo what the block changes of the working directory, which relative paths of the settings are read from, and of `np.seterr`."""
    folder = Path.cwd()
    with np.errstate():
        try:
            yield
        finally:
            if Path.cwd() != folder:
                os.chdir(folder)
