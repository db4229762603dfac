"""`python -m tests.end_to_end.small_run`: the main command with small models on the sample market, by a clock that stands."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from forwardtrader.backtest import shifted_runs
from forwardtrader.backtest.cli import command
from forwardtrader.core.clock import FixedClock

CLOCK = FixedClock(datetime(2024, 6, 1, 12, tzinfo=UTC))
SMALL = (
    *("models.units=4", "models.seeds=1", "models.epochs=1", "models.train_window=40d", "models.retrain_every=14d"),
    *("models.horizons=[1,24]", "strategies.horizon=24"),
)
WORDS = ["--from", "2024-04-20", "--source", "sample", "--baselines", "zero,huber_linear", *(w for s in SMALL for w in ("--set", s))]
FEW_SHIFTS = 9  # of its forecasts, where another run has made all: they are most of a run, and change nothing else of it


def small_run(*more: str, shifts: int = FEW_SHIFTS) -> int:
    """Run it in the working folder; its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shifted_runs, "SHIFTS", shifts)
        return command([*WORDS, *more], CLOCK)


if __name__ == "__main__":
    sys.exit(small_run("--quiet"))
