"""The model confidence set: which forecasters the data cannot tell from the best (Hansen, Lunde and Nason 2011)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Final

import numpy as np

from forwardtrader.reports.statistics.bootstrap import Floats

LEAST_ROWS: Final = 250
SAMPLES: Final = 1000


def model_confidence_set(losses: Mapping[str, Floats], *, horizon: int, seed: int = 0) -> dict[str, float]:
    """P-value by forecaster: those at or above the error rate, 10 % by custom, belong to the set. Empty with fewer than two or 250 rows.

    Args:
        losses: per row [T] of each forecaster, NaN where it forecast nothing; rows that all have count.
        horizon: bars whose outcomes overlap; the stationary bootstrap draws blocks of at least so many.
    """
    names = list(losses)
    if len(names) < 2:
        return {}
    table = np.column_stack([losses[name] for name in names])
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < LEAST_ROWS:
        return {}
    distinct = [k for k in range(len(names)) if not any(np.array_equal(table[:, k], table[:, j]) for j in range(k))]
    if len(distinct) < 2:
        return dict.fromkeys(names, 1.0)
    found = _p_values(table[:, distinct], block=max(horizon, round(len(table) ** (1 / 3))), seed=seed)
    own = {names[k]: p for k, p in zip(distinct, found, strict=True)}
    return {name: own.get(name, _twin(table, k, distinct, found)) for k, name in enumerate(names)}


def _p_values(table: Floats, *, block: int, seed: int) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's own imports
        from arch.bootstrap import MCS

        test = MCS(table, size=0.1, reps=SAMPLES, block_size=block, method="R", bootstrap="stationary", seed=seed)
        test.compute()
        values = test.pvalues["Pvalue"]
    return [float(values.loc[k]) for k in range(table.shape[1])]


def _twin(table: Floats, place: int, distinct: list[int], found: list[float]) -> float:
    """The p-value of the forecaster with the same losses."""
    return next(p for k, p in zip(distinct, found, strict=True) if np.array_equal(table[:, k], table[:, place]))
