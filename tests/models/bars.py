"""Simulated hourly bars for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from forwardtrader.models.forecaster import NewBar


def simulated_bars(n: int, *, seed: int = 0, start: str = "2020-01-01", step: str = "1h", reversal: float = 0.0) -> pd.DataFrame:
    """A candle frame of `n` bars: fat-tailed returns with clustered volatility; `reversal` is the weight of minus the last return."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_t(4, n) * 0.004 * np.exp(0.3 * np.sin(np.arange(n) / 200.0))
    returns = np.zeros(n)
    for t in range(1, n):
        returns[t] = noise[t] - reversal * returns[t - 1]
    close = 20_000 * np.exp(np.cumsum(returns))
    opened = np.concatenate([[20_000.0], close[:-1]])
    wick = np.abs(rng.normal(0.0, 0.002, (2, n)))
    return pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + wick[0]),
            "low": np.minimum(opened, close) * (1 - wick[1]),
            "close": close,
            "volume": rng.lognormal(3.0, 0.5, n) * (1 + 50 * np.abs(returns)),
        },
        index=pd.date_range(start, periods=n, freq=step, tz="UTC", name="timestamp"),
    )


def heard(frame: pd.DataFrame, row: int, needed: int, peers: Callable[[], Any] = dict) -> NewBar:
    """The bar of `row` as a session hears it, with `needed` bars at hand."""
    bar: Any = frame.iloc[row]
    before, at = (moment.to_pydatetime() for moment in frame.index[row - 1 : row + 1])
    return NewBar(
        at=at, before=before, open=bar.open, high=bar.high, low=bar.low, close=bar.close, volume=bar.volume,
        frame=lambda: frame.iloc[row + 1 - needed : row + 1], peers=peers,
    )  # fmt: skip
