"""Calibration: coverage of the quantiles, and reliability of the probability of a rise."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forwardtrader.core.types import QUANTILES
from forwardtrader.reports.statistics.bootstrap import Floats
from forwardtrader.reports.statistics.significance import wilson

QUANTILE_COLUMNS: Final = ("q05", "q25", "q50", "q75", "q95")
_BINS: Final = 10


def calibration(frame: pd.DataFrame, rival: Floats | None = None) -> dict[str, Any]:
    """Calibration of one forecaster on one symbol and horizon.

    Args:
        frame: UTC index of bar-open times; columns q05 .. q95, p_up, realised.
        rival: quantiles [rows, 5] of a volatility forecast, e.g. `har_quantiles`, for the skill of the quantiles.

    Returns:
        `coverage_90` and `coverage_90_by_year` with Wilson intervals; `pit`, the share of outcomes between neighbouring quantiles beside
        the share expected; `crps` and `crps_skill` (1 - CRPS / rival's, on bars that both know); `reliability` and `brier_skill` of p_up.
    """
    known = frame.loc[frame[[*QUANTILE_COLUMNS, "realised"]].notna().all(axis=1)]
    quantiles = known[list(QUANTILE_COLUMNS)].to_numpy(dtype=np.float64)
    realised = known["realised"].to_numpy(dtype=np.float64)
    inside = (quantiles[:, 0] <= realised) & (realised <= quantiles[:, -1])
    years = pd.DatetimeIndex(known.index).year.to_numpy()
    result: dict[str, Any] = {
        "coverage_90": _share(inside),
        "coverage_90_by_year": {str(year): _share(inside[years == year]) for year in np.unique(years)},
        "pit": pit_histogram(quantiles, realised),
        "crps": float(crps(quantiles, realised).mean()) if len(realised) else math.nan,
    }
    if rival is not None:
        result["crps_skill"] = crps_skill(quantiles, rival[frame.index.isin(known.index)], realised)
    if "p_up" in frame:
        result |= rise_calibration(known["p_up"].to_numpy(dtype=np.float64), realised)
    return result


def crps(quantiles: Floats, realised: Floats) -> Floats:
    """Continuous ranked probability score from quantiles: twice the mean pinball loss over `QUANTILES`, one value per row."""
    miss = realised[:, None] - quantiles
    levels = np.asarray(QUANTILES)
    return np.asarray(2.0 * np.maximum(levels * miss, (levels - 1.0) * miss).mean(axis=1))


def crps_skill(quantiles: Floats, rival: Floats, realised: Floats) -> float:
    """One minus the ratio of the mean scores on rows where the rival has a forecast; NaN without any, or where it never errs."""
    both = np.isfinite(rival).all(axis=1)
    if not both.any():
        return math.nan
    rivals = float(crps(rival[both], realised[both]).mean())
    return 1.0 - float(crps(quantiles[both], realised[both]).mean()) / rivals if rivals > 0 else math.nan


def pit_histogram(quantiles: Floats, realised: Floats) -> list[dict[str, float]]:
    """Probability integral transform in the bins that five quantiles define without interpolation."""
    edges = (0.0, *QUANTILES, 1.0)
    place = (realised[:, None] > quantiles).sum(axis=1)
    counts = np.bincount(place, minlength=len(edges) - 1)
    n = max(len(realised), 1)
    return [
        {"from": low, "to": high, "share": float(count / n), "expected": high - low}
        for low, high, count in zip(edges, edges[1:], counts, strict=False)
    ]


def rise_calibration(p_up: Floats, realised: Floats) -> dict[str, Any]:
    """Reliability curve of p_up in ten equally filled bins, and the skill of its Brier score against always saying one half.

    Equal chances fall into one bin.
    """
    known = np.isfinite(p_up) & (realised != 0)
    chance, rose = p_up[known], realised[known] > 0
    if not len(chance):
        return {"reliability": [], "brier_skill": math.nan, "log_loss_skill": math.nan}
    bins = _equally_filled(chance)
    curve = [{"p": float(chance[bins == k].mean()), **_share(rose[bins == k])} for k in np.unique(bins)]
    safe = np.clip(chance, 1e-6, 1.0 - 1e-6)
    log_loss = -float(np.where(rose, np.log(safe), np.log(1.0 - safe)).mean())
    return {
        "reliability": curve,
        "brier_skill": 1.0 - float(((chance - rose) ** 2).mean()) / 0.25,
        "log_loss_skill": 1.0 - log_loss / math.log(2.0),
    }


def _equally_filled(values: Floats) -> NDArray[np.intp]:
    """The bin of each value; ties go where their average rank belongs, all of them, so that no bin is a matter of time."""
    ends = np.cumsum([len(part) for part in np.array_split(values, _BINS)])
    places = pd.Series(values).rank(method="average").to_numpy(dtype=np.float64) - 1.0
    return np.searchsorted(ends, places, side="right")


def _share(hits: np.ndarray[Any, Any]) -> dict[str, Any]:
    n = len(hits)
    return {"share": float(hits.mean()) if n else math.nan, "n": n, "ci": wilson(float(hits.sum()), n)}
