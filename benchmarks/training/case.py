"""The folds that every contender trains on: the same candles, features, targets and days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.settings import ModelSettings
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.files.import_file import read_candles
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.models.features.catalogue import warm_up
from forwardtrader.models.features.panel import Panel
from forwardtrader.models.folds import training as fold_training
from forwardtrader.models.walk_forward import Fold, folds

SYMBOL: Final = "BTC/USDT"
HOUR: Final = Timeframe.parse("1h")
FIRST, LAST = datetime(2022, 1, 1, tzinfo=UTC), datetime(2025, 9, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Case:
    """Some folds of the main job, evenly spread over its calendar of `calendar_folds`."""

    settings: ModelSettings
    panel: Panel
    folds: tuple[Mapping[str, Fold], ...]
    calendar_folds: int

    def fold(self, number: int) -> Fold:
        return self.folds[number][SYMBOL]

    def train_rows(self, number: int) -> NDArray[np.int64]:
        """Rows whose targets a contender may learn from."""
        fold = self.fold(number)
        return np.arange(fold.train_first, fold.train_last)

    def later_rows(self, number: int) -> NDArray[np.int64]:
        """Rows after the window, in which the fold's model speaks, and whose outcome is known."""
        fold = self.fold(number)
        rows = np.arange(fold.effective_first, fold.effective_last)
        return rows[np.isfinite(self.panel.targets[rows, 0])]

    def scaled(self, number: int) -> NDArray[np.float32]:
        """All features in units of their training rows, clipped: what a contender is given. float32 [T, F]."""
        rows = self.train_rows(number)
        mean, std = fold_training.scaling(self.panel.features, [(int(rows[0]), int(rows[-1]) + 1)])
        return np.nan_to_num(np.clip((self.panel.features - mean) / std, -5.0, 5.0)).astype(np.float32)


def case(data: Path | None, count: int, *, units: int, seeds: int = 1) -> Case:
    """The first and the last fold of the calendar and `count` - 2 between; the sample market where no file is given."""
    settings = ModelSettings(units=units, seeds=seeds, trees=0.0)  # networks alone: trees are no part of the comparison
    candles = hourly(data)
    panel = Panel.of({SYMBOL: candles}, settings.horizons)
    reach = warm_up(panel.names)
    cut = folds(panel.index[SYMBOL], FIRST, LAST, settings=settings, timeframe=HOUR, warm_up=reach)
    # The calendar's last fold may be in force for a few bars only.
    chosen = sorted({round(at) for at in np.linspace(0, len(cut) - 2, count)})
    return Case(settings, panel, tuple({SYMBOL: cut[number]} for number in chosen), len(cut))


def hourly(data: Path | None) -> pd.DataFrame:
    """Hourly candles up to `LAST`."""
    if data is None:
        return sample_candles(SYMBOL, HOUR, seed=0, until=LAST)
    frame = read_candles(data, SYMBOL, HOUR, SystemClock())
    return frame.loc[frame.index < pd.Timestamp(LAST)]


def huber(location: NDArray[np.float32], truth: NDArray[np.float32], delta: float) -> NDArray[np.float64]:
    """The trainer's own loss of a location, per row."""
    miss = np.abs(location.astype(np.float64) - truth)
    return np.where(miss < delta, 0.5 * miss * miss / delta, miss - 0.5 * delta)
