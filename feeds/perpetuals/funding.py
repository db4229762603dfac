"""Funding rates: a series of shares that longs pay shorts, by the UTC time of their settlement, which is also when they are known."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from forwardtrader.core.errors import CandleFileInvalid
from forwardtrader.feeds.candles.schema import Origin

_MOST: Final = 0.2  # of the position's value in one settlement; more is a number in per cent or basis points
_CLOCK: Final = "min"  # a venue stamps a settlement some milliseconds late


def rates(times: Any, values: Any) -> pd.Series[float]:
    """A series of rates, its times on whole minutes."""
    index = pd.DatetimeIndex(times, name="timestamp").as_unit("ms").round(_CLOCK)
    return pd.Series(np.asarray(values, dtype=np.float64), index=index, name="rate")


def no_rates() -> pd.Series[float]:
    return rates(pd.DatetimeIndex([], tz="UTC"), [])


def checked(found: pd.Series[float], origin: Origin) -> pd.Series[float]:
    """The rates in order of time, each settlement once.

    Raises:
        CandleFileInvalid: a rate that is no number or no share, or two that differ for one settlement.
    """
    values = found.to_numpy()
    wrong = np.flatnonzero(~(np.abs(values) <= _MOST))
    if len(wrong):
        row = int(wrong[0])
        fault = f"funding rate {values[row]} is no share of a position's value (0.0001 is one basis point); correct or remove the row"
        origin.refuse(row, found.index[row], fault)
    found = found.sort_index(kind="stable")
    twice = found.index.duplicated(keep="first")
    if twice.any() and not found.groupby(level=0).nunique().eq(1).all():
        at = found.index[twice][0]
        raise CandleFileInvalid(f"{origin.name}: the settlement of {at:%Y-%m-%d %H:%M} has two different rates; remove one of them")
    return found[~twice]
