"""Scores by model, year, regime and seed."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.reports.statistics.bootstrap import Floats
from forwardtrader.reports.statistics.forecast_scores import SCORES, Outcomes, point_scores
from forwardtrader.reports.statistics.significance import wilson

_TREND_DAYS: Final = 30


def by_fold(frame: pd.DataFrame, volatility: Floats) -> list[dict[str, Any]]:
    """Scores per `model_id`, in order of time, each with the first and last bar it served."""
    known = frame["realised"].notna() & frame["location"].notna()
    return [
        {"model_id": name, "from": times[0].isoformat(), "to": times[-1].isoformat(), **scores}
        for name, times, scores in _slices(frame, volatility, frame["model_id"].astype(str).where(known))
    ]


def by_year(frame: pd.DataFrame, volatility: Floats) -> dict[str, dict[str, Any]]:
    """Scores per calendar year (UTC)."""
    years = pd.Series(pd.DatetimeIndex(frame.index).year.astype(str), index=frame.index)
    return {name: scores for name, _, scores in _slices(frame, volatility, years)}


def by_regime(frame: pd.DataFrame, volatility: Floats, regimes: pd.Series) -> dict[str, dict[str, Any]]:
    """Scores per regime; `regimes` names the regime of each row, as known at its close."""
    return {name: scores for name, _, scores in _slices(frame, volatility, regimes)}


def volatility_regimes(index: pd.Index, volatility: Floats) -> pd.Series:
    """`calm`, `normal` or `wild` by thirds of the volatility over the rows given."""
    low, high = np.nanquantile(volatility, [1 / 3, 2 / 3]) if np.isfinite(volatility).any() else (math.nan, math.nan)
    names = np.where(volatility <= low, "calm", np.where(volatility <= high, "normal", "wild"))
    return pd.Series(names, index=index).where(np.isfinite(volatility))


def trend_regimes(index: pd.Index, close: pd.Series, bars_per_day: float) -> pd.Series:
    """`up` or `down` against the close 30 days before; missing while there is none."""
    change = (close / close.shift(max(1, round(_TREND_DAYS * bars_per_day))) - 1.0).reindex(index)
    return pd.Series(np.where(change > 0, "up", "down"), index=index).where(change.notna())


def over_seeds(locations: pd.DataFrame, frame: pd.DataFrame, volatility: Floats) -> dict[str, Any]:
    """Mean and spread of each score over seeds; `locations` has one column per seed and the rows of `frame`."""
    single = [point_scores(Outcomes.of(frame.assign(location=locations[seed].to_numpy()), volatility)) for seed in locations]
    spread = {
        name: {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan}
        for name in SCORES
        if (values := [scores[name] for scores in single])
    }
    return {"seeds": len(single), **spread}


def _slices(frame: pd.DataFrame, volatility: Floats, names: pd.Series) -> list[tuple[str, pd.DatetimeIndex, dict[str, Any]]]:
    groups = []
    for name, rows in names.reset_index(drop=True).groupby(names.to_numpy(), sort=False).groups.items():
        part = frame.iloc[rows]
        scores = point_scores(Outcomes.of(part, volatility[rows]))
        groups.append((str(name), pd.DatetimeIndex(part.index), _with_interval(scores)))
    return groups


def _with_interval(scores: dict[str, Any]) -> dict[str, Any]:
    calls = scores.pop("calls")
    hits = scores["accuracy"] * calls if calls else 0.0
    return {**scores, "accuracy_wilson": wilson(hits, calls)}
