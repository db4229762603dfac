"""HAR volatility forecast (after Corsi 2009): the benchmark of a forecaster's quantiles."""

from __future__ import annotations

from typing import Final

import numpy as np

from forwardtrader.core.threads import one_thread
from forwardtrader.core.types import QUANTILES
from forwardtrader.reports.statistics.bootstrap import Floats

# A day, a week and a month, in days; the market's own bars per day turn them into windows.
_WINDOWS_DAYS: Final = (1.0, 7.0, 30.0)
_LEAST_HISTORY: Final = 400
# Quantiles of so many moves are known well enough.
_QUANTILE_ROWS: Final = 8000


def har_quantiles(close: Floats, horizon: int, bars_per_day: float, *, refit: int = 720) -> Floats:
    """Out-of-sample quantiles of the log return over `horizon` bars, made at each bar's close: float64 [T, 5] at `QUANTILES`.

    The mean absolute move over the horizon is regressed on mean absolute moves of the last day, week and month (and the last bar). The
    regression and the quantiles of move over forecast are fitted anew every `refit` bars on all labels known by then; NaN before
    there are enough of them. Location is zero.
    """
    with one_thread():
        return _har_quantiles(close, horizon, bars_per_day, refit)


def _har_quantiles(close: Floats, horizon: int, bars_per_day: float, refit: int) -> Floats:
    n = len(close)
    inputs, target = _inputs(close, bars_per_day), _moves(close, horizon)
    known = np.isfinite(inputs).all(axis=1)
    out = np.full((n, len(QUANTILES)), np.nan)
    first = int(np.argmax(known)) if known.any() else n
    normal, right, learned = np.zeros((inputs.shape[1],) * 2), np.zeros(inputs.shape[1]), first
    for start in range(first + _LEAST_HISTORY + horizon, n, refit):
        known_until = start - horizon + 1
        fresh = slice(learned, known_until)
        normal += inputs[fresh].T @ inputs[fresh]
        right += inputs[fresh].T @ np.abs(target[fresh])
        learned = known_until
        weights = np.linalg.lstsq(normal, right, rcond=None)[0]
        thinned = slice(first, known_until, max(1, (known_until - first) // _QUANTILE_ROWS))
        floor = 1e-2 * float(np.abs(target[thinned]).mean()) + 1e-12
        relative = target[thinned] / np.maximum(inputs[thinned] @ weights, floor)
        rows = slice(start, start + refit)
        out[rows] = np.maximum(inputs[rows] @ weights, floor)[:, None] * np.quantile(relative, QUANTILES)
    return out


def _moves(close: Floats, horizon: int) -> Floats:
    logs = np.log(close)
    moves = np.full(len(close), np.nan)
    moves[:-horizon] = logs[horizon:] - logs[:-horizon]
    return moves


def _inputs(close: Floats, bars_per_day: float) -> Floats:
    """Intercept, last absolute return, and its means over a day, a week and a month: [T, up to 5]."""
    size = np.abs(np.diff(np.log(close), prepend=np.nan))
    total = np.concatenate([[0.0], np.cumsum(np.nan_to_num(size))])
    columns = [np.ones(len(close)), size]
    for days in _WINDOWS_DAYS:
        window = max(2, round(days * bars_per_day))
        mean = np.full(len(close), np.nan)
        mean[window:] = (total[window + 1 :] - total[1:-window]) / window if window < len(close) else np.nan
        columns.append(mean)
    return np.stack(columns, axis=1)
