"""Do the forecasts mean what they say? Counts from the forecasts table, for the pages' pictures.

All functions take the rows of one symbol and one horizon (columns as in `artefacts`); rows without an outcome are left out. Intervals of
shares are Wilson's (1927) at 95 %, as if bars were independent: a picture's error bar, not a test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

LEVELS: Final = {"q05": 0.05, "q25": 0.25, "q50": 0.50, "q75": 0.75, "q95": 0.95}
_Z: Final = 1.959964
_FEWEST: Final = 30

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Share:
    """A share observed against one expected, with the count behind it and its interval; all 0..1."""

    expected: float
    observed: float
    n: int
    low: float
    high: float


def reliability(rows: pd.DataFrame, bins: int = 10) -> list[Share]:
    """How often prices rose where a rise was given the probability `expected` (mean of the bin); bins hold equally many bars."""
    known = rows.loc[rows["realised"].notna() & rows["p_up"].notna() & (rows["realised"] != 0)]
    if len(known) < bins * _FEWEST:
        return []
    order = np.argsort(known["p_up"].to_numpy(), kind="stable")
    p_up, rose = known["p_up"].to_numpy()[order], (known["realised"].to_numpy() > 0)[order]
    return [_share(float(p.mean()), r) for p, r in zip(np.array_split(p_up, bins), np.array_split(rose, bins), strict=True)]


def quantile_shares(rows: pd.DataFrame) -> list[Share]:
    """For each forecast quantile the share of outcomes at or below it."""
    known = rows.loc[rows["realised"].notna()]
    if len(known) < _FEWEST:
        return []
    outcome = known["realised"].to_numpy()
    return [_share(level, outcome <= known[name].to_numpy()) for name, level in LEVELS.items() if known[name].notna().all()]


def histogram(rows: pd.DataFrame, bins: int = 20) -> Array:
    """Probability integral transform: share of outcomes in each twentieth of the forecast distribution, 1.0 where calibrated.

    The distribution function is linear between the five quantiles and falls off outside them as a normal one of the same 5 % point does.
    """
    columns = [*LEVELS, "realised", "location", "scale"]
    known = rows.loc[rows[columns].notna().all(axis=1) & (rows["scale"] > 0)]
    if len(known) < bins * _FEWEST:
        return np.empty(0)
    counts, _ = np.histogram(transform(known), bins=bins, range=(0.0, 1.0))
    return np.asarray(counts / counts.sum() * bins)


def transform(rows: pd.DataFrame) -> Array:
    """Where each outcome fell in its own forecast distribution, 0..1; see `histogram`."""
    knots = np.column_stack([rows[name].to_numpy(float) for name in LEVELS])
    outcome, levels = rows["realised"].to_numpy(float), np.array(list(LEVELS.values()))
    # Between knots: linear in level. np.interp has no row-wise form, so each interval is filled in turn.
    result = np.full(len(rows), np.nan)
    for i in range(len(levels) - 1):
        low, high = knots[:, i], knots[:, i + 1]
        inside = (outcome >= low) & (outcome <= high) & (high > low)
        share = np.divide(outcome - low, high - low, out=np.zeros(len(rows)), where=high > low)
        result[inside] = (levels[i] + share * (levels[i + 1] - levels[i]))[inside]
    middle, half = knots[:, 2], (knots[:, -1] - knots[:, 0]) / 2
    z = np.divide(outcome - middle, half, out=np.zeros(len(rows)), where=half > 0) * 1.644854
    tail = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in np.clip(z, -9, 9).tolist()])
    below, above = outcome < knots[:, 0], outcome > knots[:, -1]
    result[below], result[above] = np.minimum(tail[below], levels[0]), np.maximum(tail[above], levels[-1])
    return result[~np.isnan(result)]


def scores_by(rows: pd.DataFrame, key: pd.Series) -> pd.DataFrame:
    """Plain scores per group of `key` (aligned with rows): n, rank_ic, accuracy, coverage_90; index is the group, in its order."""
    table = rows.assign(_key=key.to_numpy())
    table = table.loc[table["realised"].notna() & table["location"].notna()]
    if not len(table):
        return pd.DataFrame(columns=["n", "rank_ic", "accuracy", "coverage_90"], dtype=float)
    return pd.DataFrame({name: _scores(group) for name, group in table.groupby("_key", sort=False)}).T


def _scores(group: pd.DataFrame) -> dict[str, float]:
    location, outcome = group["location"], group["realised"]
    called = (location != 0) & (outcome != 0)
    varies = len(group) >= _FEWEST and location.nunique() > 1 and outcome.nunique() > 1
    return {
        "n": float(len(group)),
        "rank_ic": float(location.rank().corr(outcome.rank())) if varies else math.nan,
        "accuracy": float((np.sign(location) == np.sign(outcome))[called].mean()) if called.sum() >= _FEWEST else math.nan,
        "coverage_90": float(((group["q05"] <= outcome) & (outcome <= group["q95"])).mean()),
    }


def _share(expected: float, hits: Array) -> Share:
    n, observed = len(hits), float(np.mean(hits))
    centre = (observed + _Z * _Z / (2 * n)) / (1 + _Z * _Z / n)
    half = _Z / (1 + _Z * _Z / n) * math.sqrt(observed * (1 - observed) / n + _Z * _Z / (4 * n * n))
    return Share(expected, observed, n, max(centre - half, 0.0), min(centre + half, 1.0))
