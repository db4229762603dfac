"""Perpetuals of the sample market: the spot market of the coin with a basis that follows its trend, marks between the two, and funding.

    trend     exponential average of hourly log returns over `TREND_HOURS`, in units of its usual size
    basis     BASIS * tanh(trend): the log distance of the perpetual from spot; the mark stands half-way
    funding   every eight hours, as venues work it out: F = P + clamp(I - P, -CLAMP, CLAMP), with the mean basis P of the hours since the
              last settlement and the interest I

so longs pay in a rising market and are paid in a falling one, and most rates are the interest itself. All of it looks back only: a later
end adds bars and settlements and changes none.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.sample_detail import inside_sample
from forwardtrader.feeds.history.sample_market import decimals_of, listed_symbols, sample_candles
from forwardtrader.feeds.perpetuals.facts import PRICES
from forwardtrader.feeds.perpetuals.funding import rates

BASIS: Final = 0.0012
TREND_HOURS: Final = 72.0
INTEREST: Final = 0.0001
CLAMP: Final = 0.0005
HOURS: Final = 8

_HOUR: Final = Timeframe.parse("1h")
_USUAL_TREND: Final = 0.0006  # of an hour's log return, averaged


def listed_perpetuals() -> list[str]:
    """Every perpetual that the sample market has: of each coin, in the dollar-like coins that venues settle in."""
    return [f"{symbol}:{quote}" for symbol in listed_symbols() if (quote := symbol.partition("/")[2]) in ("USDT", "USDC")]


def spot_of(symbol: str) -> str:
    """The spot symbol that a perpetual's sample market is made of."""
    return symbol.partition(":")[0]


def perpetual_candles(symbol: str, timeframe: Timeframe, *, seed: int, until: datetime) -> pd.DataFrame:
    """Candles of a perpetual, as `sample_candles` gives those of spot."""
    spot = sample_candles(spot_of(symbol), timeframe, seed=seed, until=until)
    return _moved(spot, _basis(symbol, seed, until), 1.0, decimals_of(symbol))


def perpetual_marks(symbol: str, timeframe: Timeframe, *, seed: int, until: datetime) -> pd.DataFrame:
    """Mark prices by bar: open, high, low and close."""
    spot = sample_candles(spot_of(symbol), timeframe, seed=seed, until=until)
    return _moved(spot, _basis(symbol, seed, until), 0.5, decimals_of(symbol))[list(PRICES)]


def perpetual_inside(
    symbol: str, bars: pd.DatetimeIndex, length: Timeframe, step: Timeframe, *, seed: int, until: datetime
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Finer candles inside the bars of a perpetual that open at these times, and their marks: those of spot, at the basis of the bar."""
    spot = spot_of(symbol)
    inside = inside_sample(
        sample_candles(spot, length, seed=seed, until=until).loc[bars], length, step, symbol=spot, seed=seed, decimals=decimals_of(spot)
    )
    basis = _basis(symbol, seed, until).reindex(bars, method="ffill").reindex(inside.index, method="ffill")
    return _moved(inside, basis, 1.0, decimals_of(spot)), _moved(inside, basis, 0.5, decimals_of(spot))[list(PRICES)]


def perpetual_funding(symbol: str, *, seed: int, until: datetime) -> pd.Series[float]:
    """Funding rates by settlement time."""
    basis = _basis(symbol, seed, until)
    premium = basis.resample(f"{HOURS}h", label="right", closed="left").mean()
    premium = premium.loc[premium.index <= basis.index[-1]]
    rate = premium + (INTEREST - premium).clip(-CLAMP, CLAMP)
    return rates(premium.index.insert(0, basis.index[0]), np.concatenate([[INTEREST], rate.round(8).to_numpy()]))


def _basis(symbol: str, seed: int, until: datetime) -> pd.Series[float]:
    """By hour, as it stands when the hour opens."""
    close = sample_candles(spot_of(symbol), _HOUR, seed=seed, until=until)["close"]
    trend = np.log(close).diff().fillna(0.0).ewm(halflife=TREND_HOURS, adjust=False).mean() / _USUAL_TREND
    return (BASIS * np.tanh(trend)).shift(1, fill_value=0.0).rename("basis")


def _moved(spot: pd.DataFrame, basis: pd.Series[float], share: float, decimals: int) -> pd.DataFrame:
    """Prices at a share of the basis of their bar's open, rounded as those of spot are."""
    at = basis.reindex(spot.index, method="ffill").fillna(0.0).to_numpy() * share
    moved = {name: np.maximum(np.round(spot[name].to_numpy() * np.exp(at), decimals), 10.0**-decimals) for name in PRICES}
    return spot.assign(**moved)
