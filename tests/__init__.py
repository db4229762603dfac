"""Tests mirror the packages: `test_<module>.py` where `<module>.py` stands."""

from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_S: Final = 240.0  # for what must happen, on a machine that is busy with something else
