"""Code that XLA compiled, shared by the processes that train in tests: to compile takes longer than to train what is small."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from forwardtrader.models.folds.walk import COMPILED

VARIABLE: Final = "FORWARDTRADER_TESTS_COMPILED"  # names the folder


def share_compiled(models: Path) -> None:
    """Have what is trained with this folder as `models.save_path` keep its compiled code in the folder of all."""
    models.mkdir(parents=True, exist_ok=True)
    (models / COMPILED).symlink_to(os.environ[VARIABLE], target_is_directory=True)
