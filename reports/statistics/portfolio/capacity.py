"""Capacity: what is left of an edge when more money trades it, by the square-root law of market impact.

An order of value Q moves the price by `sigma * sqrt(Q / V)`, with the daily volatility `sigma` and the value `V` traded in a day (Almgren,
Thum, Hauptmann and Li 2005; Toth et al. 2011, who find a factor near one). All of it is charged on each fill: an upper bound, since the
average price of an order that is worked is better than its last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.reports.statistics import metrics

SIZES: Final = (1, 10, 100, 1000)
_DAY: Final = pd.Timedelta(days=1)
_DEVIATION_DAYS: Final = 30

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True)
class CapacityRow:
    """The account with `times` its money: what impact would have cost and left.

    `impact_bps` is the mean impact in basis points of traded value, `largest_share` the share of a bar's volume that one fill in a hundred
    exceeds.
    """

    times: int
    start_equity: float
    impact_bps: float
    total_return: float
    sharpe: float
    largest_share: float


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """The rows, smallest first, and the starting cash at which impact would have eaten the whole profit; None where there was none."""

    rows: tuple[CapacityRow, ...]
    exhausted_at: float | None


def capacity(
    equity: pd.Series, fills: pd.DataFrame, candles: Mapping[str, pd.DataFrame], periods_per_year: int, start_equity: float
) -> Capacity | None:
    """Trade the same fills with more money.

    Volume and volatility are those of the days before each fill. Returns are those of an account that trades the same shares of itself.

    Args:
        equity: per bar, by bar open (UTC).
        fills: columns timestamp, symbol, size (base), price (quote), in order of time.
        candles: by symbol, columns close and volume, by bar open.

    Returns:
        None where nothing was traded, or the volume of no fill is known.
    """
    value = (fills["size"].abs() * fills["price"]).to_numpy(dtype=np.float64)
    unit, share = _impact_of_one(fills, value, candles)
    known = np.isfinite(unit)
    if not known.any():
        return None
    cost = np.where(known, unit, np.nanmedian(unit)) * value  # where the volume is not known, the usual impact
    rows = tuple(_row(times, equity, fills["timestamp"], value, cost, share, periods_per_year, start_equity) for times in SIZES)
    profit = float(equity.iloc[-1]) - start_equity
    return Capacity(rows=rows, exhausted_at=start_equity * (profit / float(cost.sum())) ** 2 if profit > 0 else None)


def _row(
    times: int, equity: pd.Series, moments: pd.Series, value: Array, cost: Array, share: Array, periods_per_year: int, start: float
) -> CapacityRow:
    """Impact grows with the root of size, per unit of money; the account's growth is that of the fills, less what impact took by then."""
    spent = pd.Series(cost * times**0.5, index=pd.DatetimeIndex(moments)).groupby(level=0).sum().cumsum()
    left = equity - spent.reindex(equity.index, method="ffill").fillna(0.0)
    returns = metrics.returns_of(metrics.daily(left), start)
    ruined = metrics.ruin(left) is not None
    return CapacityRow(
        times=times,
        start_equity=start * times,
        impact_bps=float(cost.sum()) * times**0.5 / float(value.sum()) * 1e4,
        total_return=float(left.iloc[-1]) / start - 1.0 if not ruined else -1.0,
        sharpe=metrics.NAN if ruined else metrics.sharpe(returns, periods_per_year),
        largest_share=float(np.nanquantile(share, 0.99)) * times,
    )


def _impact_of_one(fills: pd.DataFrame, value: Array, candles: Mapping[str, pd.DataFrame]) -> tuple[Array, Array]:
    """For each fill its impact as a share of its value, and its share of its bar's volume; NaN where no volume is known."""
    impact, share = np.full(len(fills), np.nan), np.full(len(fills), np.nan)
    for symbol, frame in candles.items():
        rows = np.flatnonzero((fills["symbol"] == symbol).to_numpy())
        if not len(rows):
            continue
        at = pd.DatetimeIndex(fills["timestamp"].iloc[rows])
        traded, deviation = _known_before(frame, at)
        own = (frame["close"] * frame["volume"]).reindex(at).to_numpy(dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            impact[rows] = np.where(traded > 0.0, deviation * np.sqrt(value[rows] / traded), np.nan)
            share[rows] = np.where(own > 0.0, value[rows] / own, np.nan)
    return impact, share


def _known_before(frame: pd.DataFrame, at: pd.DatetimeIndex) -> tuple[Array, Array]:
    """Value traded in the day before each moment, and the daily volatility of the thirty days before it."""
    by_day = (frame["close"] * frame["volume"]).rolling(_DAY).sum()
    close = frame["close"].resample(_DAY).last().ffill()
    deviation = np.log(close).diff().rolling(_DEVIATION_DAYS, min_periods=5).std()
    deviation.index = deviation.index + _DAY  # known once the day is over
    before = at - pd.Timedelta(1, "ns")
    return tuple(series.reindex(before, method="ffill").to_numpy(dtype=np.float64) for series in (by_day, deviation))  # type: ignore[return-value]
