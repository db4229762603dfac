"""Runs of the same strategy on forecasts shifted in time: what it earns without their information.

All symbols are shifted by the same bars, so that what was forecast together stays together. Everything else is as in the run: the same
account, of perpetuals with margin, liquidations and funding at its true times.
"""

from __future__ import annotations

import functools
import hashlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.backtest.forecasting import Forecasts
from forwardtrader.backtest.progress import Stage
from forwardtrader.backtest.request import BacktestRequest
from forwardtrader.backtest.simulation import simulate, tapes_of
from forwardtrader.core import fingerprint
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.needs import History
from forwardtrader.models.forecaster import RecordedForecasts
from forwardtrader.models.parallel.local_workers import Processes
from forwardtrader.models.parallel.workers import cores
from forwardtrader.reports.shifted_store import ShiftedStore
from forwardtrader.reports.statistics import metrics
from forwardtrader.reports.statistics.shifted_forecasts import ShiftedForecasts, circle_of, distances, does_as_well, shifted
from forwardtrader.strategies.replay import Replay
from forwardtrader.strategies.replay_track import Tape

SHIFTS: Final = 100
WORTH_PROCESSES: Final = 10_000_000  # bars of all runs and symbols: fewer take less than other processes take to start
# A strategy of the user's goes through Backtrader, seconds a run: the fewest shifts that can show p below 0.05, and the first that does as
# well as the true forecasts settles that they will not.
SHIFTS_OF_OTHERS: Final = 39
SETTLED_BY: Final = 1
_DECIDING: Final = ("core", "strategies", "reports/statistics")

# Fills and equity of a run whose forecasts were shifted by so many bars; by 0, of the strategy itself.
Run = Callable[[int], tuple[pd.DataFrame, pd.DataFrame]]


def shifted_replays(
    markets: Mapping[str, History], forecasts: Forecasts, request: BacktestRequest, days: int, stage: Stage
) -> ShiftedForecasts | None:
    """Our own strategy, through the fast replay; None where the bars traded are too few.

    The same runs on the same bars by the same code are read from where they were kept, beside the forecasts.

    Args:
        days: trading days in a year.
    """
    settings, models = request.settings.strategies, request.settings.models
    tapes = tapes_of(markets, forecasts.walk, settings.horizon, request.first)
    told = [tape.forecasts for tape in tapes]
    chosen = _distances(told, SHIFTS, request)
    if not chosen:
        return None
    store, key = ShiftedStore(Path(models.save_path) / "shifted"), _key(tapes, request, chosen, days)
    if (known := store.get(key)) is not None:
        return known
    runs = ReplayedShifts(Replay(tapes, settings, request.settings.learning), told, circle_of(told), settings.cash, days)
    own, _ = runs.earned(0)  # works out what all runs share, before others are given it
    workers = Processes((models.jobs or cores()) if len(chosen) * sum(map(len, told)) > WORTH_PROCESSES else 1)
    earned: dict[int, tuple[float, float]] = {}
    for number, one in workers.run(ReplayedShifts.earned, runs, chosen):
        stage(len(earned), len(chosen))
        earned[number] = one
    found = _result(runs.run, chosen, own, [earned[number] for number in range(len(chosen))])
    store.put(key, found)
    return found


def _key(tapes: Sequence[Tape], request: BacktestRequest, chosen: Sequence[int], days: int) -> str:
    """The fingerprint of everything that decides the runs."""
    rules = [request.settings.strategies.model_dump(mode="json"), request.settings.learning.model_dump(mode="json")]
    return fingerprint.of_value([[fingerprint.of_record(tape) for tape in tapes], *rules, list(chosen), days, deciding_code()])


@functools.cache
def deciding_code() -> str:
    """Fingerprint of the sources that turn bars and forecasts into these runs, and of what they compute with."""
    root = Path(__file__).resolve().parent.parent
    files = [Path(__file__), *(path for room in _DECIDING for path in sorted((root / room).rglob("*.py")))]
    parts = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return fingerprint.of_value([*parts, np.__version__, pd.__version__, platform.python_version(), platform.machine()])


@dataclass(frozen=True)
class ReplayedShifts:
    """Runs of our own strategy on its forecasts, one frame a symbol, shifted in time."""

    replay: Replay
    forecasts: Sequence[pd.DataFrame]
    circle: pd.DatetimeIndex
    cash: float
    days: int

    def run(self, distance: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        moved = [shifted(one, distance, self.circle)["location"].to_numpy(dtype=np.float64) for one in self.forecasts]
        fills, equity = self.replay.run(moved)
        return fills, equity.assign(exposure=1.0 - equity["cash"] / equity["equity"])

    def earned(self, distance: int) -> tuple[float, float]:
        return _earned(self.run(distance), self.cash, self.days)


def shifted_backtests(
    markets: Mapping[str, History], forecasts: Forecasts, request: BacktestRequest, days: int, stage: Stage
) -> ShiftedForecasts | None:
    """A strategy of the user's, through Backtrader, until the answer is known; None where the bars traded are too few."""
    horizon, first = request.settings.strategies.horizon, pd.Timestamp(request.first)
    frames = {symbol: forecasts.walk.frame(symbol, horizon) for symbol in markets}
    traded = [frame.loc[frame.index >= first] for frame in frames.values()]

    def run(distance: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        record = simulate(markets, ShiftedSources(frames, first, distance), request)
        return record.fills, record.equity

    chosen = _distances(traded, SHIFTS_OF_OTHERS, request)
    return _compared(run, chosen, request.settings.strategies.cash, days, stage, settled_by=SETTLED_BY) if chosen else None


@dataclass(frozen=True)
class ShiftedSources:
    """The forecasts of a run in the place of `Forecasts`, those of the days traded shifted."""

    frames: Mapping[str, pd.DataFrame]
    first: pd.Timestamp
    distance: int

    def source(self, symbol: str, horizon: int, timeframe: Timeframe) -> RecordedForecasts:
        frame = self.frames[symbol]
        traded = frame.index >= self.first
        circle = circle_of(each.loc[each.index >= self.first] for each in self.frames.values())
        moved = pd.concat([frame.loc[~traded], shifted(frame.loc[traded], self.distance, circle)])
        return RecordedForecasts(moved, horizon, timeframe_s=timeframe.seconds)


def _distances(frames: list[pd.DataFrame], count: int, request: BacktestRequest) -> list[int]:
    return distances(min(int(frame["location"].notna().sum()) for frame in frames), count, request.settings.models.seed)


def _compared(run: Run, chosen: list[int], cash: float, days: int, stage: Stage, *, settled_by: int = 0) -> ShiftedForecasts:
    """Run each shift, or as many as it takes until `settled_by` of them did as well as the strategy itself."""
    own, _ = _earned(run(0), cash, days)
    earned: list[tuple[float, float]] = []
    for number, distance in enumerate(chosen):
        stage(number, len(chosen))
        earned.append(_earned(run(distance), cash, days))
        if settled_by and does_as_well(np.array([sharpe for sharpe, _ in earned]), own).sum() >= settled_by:
            break
    return _result(run, chosen, own, earned)


def _result(run: Run, chosen: Sequence[int], own: float, earned: Sequence[tuple[float, float]]) -> ShiftedForecasts:
    """What the runs came to; the one in the middle is made once more, for its account."""
    sharpes, totals = (np.array(column) for column in zip(*earned, strict=True))
    fills, equity = run(chosen[int(np.argsort(sharpes, kind="stable")[len(sharpes) // 2])])
    return ShiftedForecasts(own=own, sharpes=sharpes, total_returns=totals, equity=equity, fills=fills, planned=len(chosen))


def _earned(result: tuple[pd.DataFrame, pd.DataFrame], cash: float, days: int) -> tuple[float, float]:
    """Annual net Sharpe ratio, zero for an account that never moved, and total return."""
    returns = metrics.returns_of(metrics.daily(result[1]["equity"]), cash)
    sharpe = metrics.sharpe(returns, days)
    return (sharpe if np.isfinite(sharpe) else 0.0), metrics.total_return(returns)
