"""Evaluation of one symbol's forecasts against its baselines: scores, tests, calibration and slices, as in `run.json`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.reports.statistics import calibration, score_slices
from forwardtrader.reports.statistics.bootstrap import Floats
from forwardtrader.reports.statistics.cross_section import LEAST_SYMBOLS, cross_sectional_skill
from forwardtrader.reports.statistics.forecast_scores import Outcomes, ranks, scaled_losses, score_all
from forwardtrader.reports.statistics.selection.model_confidence_set import model_confidence_set
from forwardtrader.reports.statistics.significance import MeanTest, diebold_mariano, mean_test
from forwardtrader.reports.statistics.volatility_forecast import har_quantiles

VOLATILITY_BARS: Final = 168
OURS: Final = "the one traded"  # the key of its frame: no name of a class, so that no other one takes it


@dataclass(frozen=True, kw_only=True)
class SymbolForecasts:
    """Everything known about one symbol and one horizon.

    `frames` holds the forecast frame (see `forecast_scores`) of the forecaster that is traded (`OURS`), of
    each baseline and each of the forecasters `compared`, on one index of bar-open times (UTC);
    `candles` begins before the first forecast; `seeds` optionally has one column of locations per seed.
    """

    symbol: str
    horizon: int
    frames: Mapping[str, pd.DataFrame]
    candles: pd.DataFrame
    bars_per_day: float
    seeds: pd.DataFrame | None = None
    name: str = "lstm"
    compared: tuple[str, ...] = ()

    @property
    def index(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.frames[OURS].index)

    @property
    def unit(self) -> Floats:
        """The move that is usual over the horizon, known at each bar: the models' own unit."""
        squares = self.candles["close"].astype(float).map(math.log).diff() ** 2
        mean = squares.rolling(VOLATILITY_BARS, min_periods=VOLATILITY_BARS).mean().reindex(self.index)
        return np.asarray(np.sqrt(np.maximum(mean.to_numpy(dtype=np.float64), 1e-12) * self.horizon))

    @property
    def scale(self) -> Floats:
        """The spread that the forecaster that is traded gave at each bar: confidences of all forecasters are measured in it."""
        return np.asarray(self.frames[OURS]["scale"].to_numpy(dtype=np.float64))


def scoreboard(known: SymbolForecasts, *, samples: int, confidence: float, seed: int = 0) -> dict[str, Any]:
    """`lstm`, `baselines` and `diebold_mariano` (negative favours the former) of one symbol and horizon."""
    unit = known.unit
    scores = score_all(
        known.frames, horizon=known.horizon, volatility=unit, scale=known.scale, samples=samples, confidence=confidence, seed=seed
    )
    losses = {name: _losses(frame, unit) for name, frame in known.frames.items()}
    tests = {name: diebold_mariano(losses[OURS], loss, horizon=known.horizon) for name, loss in losses.items() if name != OURS}
    told = {name: loss for name, loss in losses.items() if name == OURS or name in known.compared}
    confidence_set = model_confidence_set(told, horizon=known.horizon, seed=seed) if known.compared else {}
    return {
        "horizon": known.horizon,
        "name": known.name,
        "confidence_set": {known.name if name == OURS else name: p for name, p in confidence_set.items()},
        "lstm": scores[OURS],
        "baselines": {name: score for name, score in scores.items() if name != OURS},
        "diebold_mariano": {name: _test(test) for name, test in tests.items()},
    }


def details(known: SymbolForecasts) -> dict[str, Any]:
    """Calibration against a volatility forecast, and the scores by fold, year, regime and seed."""
    frame, unit = known.frames[OURS], known.unit
    close = known.candles["close"].astype(float)
    rows = known.candles.index.get_indexer(known.index)
    rival = har_quantiles(np.asarray(close.to_numpy(dtype=np.float64)), known.horizon, known.bars_per_day)[rows]
    volatility = score_slices.volatility_regimes(known.index, unit)
    trend = score_slices.trend_regimes(known.index, close, known.bars_per_day)
    found: dict[str, Any] = {
        "calibration": calibration.calibration(frame, rival),
        "by_year": score_slices.by_year(frame, unit),
        "by_regime": score_slices.by_regime(frame, unit, volatility) | score_slices.by_regime(frame, unit, trend),
    }
    if "model_id" in frame:
        found["by_fold"] = score_slices.by_fold(frame, unit)
    if known.seeds is not None:
        found["over_seeds"] = score_slices.over_seeds(known.seeds, frame, unit)
    return found


def skill_series(known: SymbolForecasts) -> pd.Series:
    """Product of the standardised ranks of forecast and outcome per bar: its mean is the rank IC."""
    frame = known.frames[OURS]
    return rank_products(frame["location"], frame["realised"])


def rank_products(location: pd.Series, realised: pd.Series) -> pd.Series:
    """Product of the standardised ranks of both, on rows where both are known; the mean is their Spearman correlation."""
    rows = (location.notna() & realised.notna()).to_numpy()
    products = ranks(location.to_numpy(dtype=np.float64)[rows]) * ranks(realised.to_numpy(dtype=np.float64)[rows])
    return pd.Series(products, index=location.index[rows])


def skill_test(group: list[SymbolForecasts]) -> MeanTest:
    """Test of rank IC above zero for one horizon over all symbols, whose bars of one moment count as one observation."""
    together = pd.concat([skill_series(known) for known in group], axis=1).mean(axis=1).sort_index()
    return mean_test(together.to_numpy(dtype=np.float64), horizon=group[0].horizon)


def across_symbols(group: list[SymbolForecasts]) -> dict[str, Any]:
    """`across_symbols` of one horizon, the same for each symbol of the run; nothing where they are too few to be ranked."""
    if len(group) < LEAST_SYMBOLS:
        return {}
    found = cross_sectional_skill({known.symbol: known.frames[OURS] for known in group}, horizon=group[0].horizon)
    low, high = found.test.interval()
    told = {"rank_ic": found.rank_ic, "rank_ic_ci": [low, high], "icir": found.icir, "p": found.test.p, "bars": found.bars}
    return {"across_symbols": told | {"symbols": found.symbols}} if found.bars else {}


def _losses(frame: pd.DataFrame, unit: Floats) -> Floats:
    """Loss per row, NaN where forecast or outcome is unknown, so that pairs stay pairs."""
    outcome = Outcomes.of(frame, unit)
    losses = np.full(len(frame), np.nan)
    losses[outcome.known] = scaled_losses(outcome)
    return losses


def _test(test: MeanTest) -> dict[str, Any]:
    return {"statistic": test.statistic, "p": test.p, "mean_difference": test.mean, "lags": test.lags, "n": test.n}
