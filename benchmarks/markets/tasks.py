"""What is asked of one market, and what all of them have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.core.clock import FixedClock
from forwardtrader.core.config import changed

TRACK: Final = timedelta(days=365)
HISTORY: Final = timedelta(days=490)
CLOCK: Final = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
PLANTED_IC: Final = 0.12
PERSISTENCE: Final = 0.95
# What is smaller than by default.
SMALLER: Final = {
    "models.units": 16,
    "models.seeds": 1,
    "models.horizons": [1, 8],
    "models.train_window": "365d",
    "models.retrain_every": "91d",
    "models.baselines": ["none"],
    "models.jobs": 1,
    "models.cache": False,
}


@dataclass(frozen=True)
class Task:
    """One market to judge, or one panel. `kind` is null or planted; `assignments` and `data` as the command line gave them."""

    kind: str
    seed: int
    assignments: tuple[str, ...]
    data: tuple[Path, ...]
    folder: Path
    digest: str


def in_fresh_folder(request: BacktestRequest, folder: Path) -> BacktestRequest:
    """Every market is somebody's first try: a ledger of its own."""
    return replace(request, settings=changed(request.settings, {"reports.ledger_path": str(folder / "trials.sqlite")}))
