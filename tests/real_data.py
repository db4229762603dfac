"""Real candles for optional tests: found beside the project, or the test is skipped with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def real_candles(name: str) -> Path:
    """The path of one real data file; skips the calling test where it is absent."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"real market data {name} is not beside the project")
    return path
