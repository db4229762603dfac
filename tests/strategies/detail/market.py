"""Small markets of which the finer bars are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from forwardtrader.strategies.detail.series import DetailSeries
from tests.strategies.market import candles

PRICES = ["open", "high", "low", "close"]
JOINED = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}


def fine_candles(hours: int, per: int, seed: int, price: float = 20_000.0, volatility: float = 0.006) -> pd.DataFrame:
    """A random walk of `per` bars an hour, in some of which nothing is traded; they do not all open where the one before closed."""
    draw, fine = np.random.default_rng(seed), candles(hours * per, seed, price, volatility / per**0.5)
    fine["open"] = (fine["open"] * (1 + draw.normal(0, 0.001, len(fine)))).round(2)
    fine["high"], fine["low"] = fine[["high", "open"]].max(axis=1), fine[["low", "open"]].min(axis=1)
    fine["volume"] = fine["volume"] / per * draw.uniform(0, 2, len(fine)) ** 3
    still = draw.choice(len(fine) - 1, len(fine) // 20, replace=False) + 1
    for row in still:
        fine.iloc[row, :4] = fine["close"].iloc[row - 1]
    fine.iloc[still, 4] = 0.0
    return fine.set_axis(pd.date_range("2022-01-01", periods=len(fine), freq=f"{3600 // per}s", tz="UTC", unit="ns", name="timestamp"))


def hourly(fine: pd.DataFrame) -> pd.DataFrame:
    """The hours that finer bars make up."""
    return fine.resample("1h").agg({name: JOINED[name] for name in fine.columns})


def detail_of(fine: pd.DataFrame, marks: pd.DataFrame | None = None, *, without: Sequence[int] = ()) -> DetailSeries:
    """The series of finer bars, but for the hours with these numbers."""
    hours = fine.index.floor("1h")
    kept = ~hours.isin(hours.unique()[list(without)])
    fine, hours = fine.loc[kept], hours[kept]
    opened, first = np.unique(hours.as_unit("ms").asi8 / 1000.0, return_index=True)
    values = fine[[*PRICES, "volume"]].to_numpy()
    traded = (values[:, 4] != 0) | (values[:, 1] != values[:, 2])
    known = np.zeros((0, 4)) if marks is None else marks.reindex(fine.index)[PRICES].to_numpy()
    return DetailSeries(opened, np.append(first, len(fine)).astype(np.int64), fine.index.as_unit("ms").asi8 / 1000.0, values, traded, known)


def path(*hours: Sequence[float]) -> pd.DataFrame:
    """Finer bars of which each goes straight from one price to the next: as many an hour as there are prices, the first opens at 100."""
    prices = [100.0, *(price for hour in hours for price in hour)]
    index = pd.date_range("2021-01-01", periods=len(prices) - 1, freq=f"{3600 // len(hours[0])}s", tz="UTC", unit="ns", name="timestamp")
    opened, closed = np.array(prices[:-1]), np.array(prices[1:])
    bars = {"open": opened, "high": np.maximum(opened, closed), "low": np.minimum(opened, closed), "close": closed}
    return pd.DataFrame({**bars, "volume": 100.0}, index=index)
