"""What code of the user's may change for the whole process, and what has to be the same after it."""

from __future__ import annotations

import decimal
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np


@contextmanager
def process_state_kept() -> Iterator[None]:
    """Undo what the block changes for others.

    That is the working directory, which relative paths of the settings are read from; how numpy treats errors; the precision of decimals,
    in which the same thread rounds orders; and whether anything is logged at all.
    """
    folder, root, silenced = Path.cwd(), logging.root, logging.root.manager.disable
    level, handlers = root.level, list(root.handlers)
    with np.errstate(), decimal.localcontext():
        try:
            yield
        finally:
            logging.disable(silenced)
            if root.level != level:
                root.setLevel(level)
            root.handlers[:] = handlers
            if Path.cwd() != folder:
                os.chdir(folder)
