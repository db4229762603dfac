"""Tests mirror the packages: `test_<module>.py` where `<module>.py` stands."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
