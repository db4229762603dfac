"""How far the price moves against fills of orders that rested."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.reports.statistics.adverse_selection import RestingFill, adverse_selection

HOURS = pd.date_range("2021-01-01", periods=6, freq="h", tz="UTC")
CLOSES = {"BTC/USDT": pd.Series([100.0, 99.0, 98.0, 100.0, 103.0, 110.0], index=HOURS)}


def fill(row: int, side: int, value: float = 1.0, price: float = 100.0, symbol: str = "BTC/USDT") -> RestingFill:
    return RestingFill(at=HOURS[row], symbol=symbol, side=side, value=value, price=price)


def test_a_price_that_falls_on_is_against_a_buy_and_for_a_sale() -> None:
    assert adverse_selection([fill(1, 1)], CLOSES, (1, 2)) == pytest.approx({1: 200.0, 2: 0.0})
    assert adverse_selection([fill(1, -1)], CLOSES, (1,)) == pytest.approx({1: -200.0})


def test_the_mean_is_weighted_by_value() -> None:
    found = adverse_selection([fill(1, 1, value=3.0), fill(3, 1, value=1.0)], CLOSES, (1,))
    assert found == pytest.approx({1: (3 * 200.0 - 300.0) / 4})


def test_what_is_not_known_yet_counts_nothing() -> None:
    assert adverse_selection([fill(5, 1), fill(1, 1, symbol="ETH/USDT")], CLOSES, (1,)) == {1: None}
    assert adverse_selection([], CLOSES) == {1: None, 4: None, 24: None}


def test_fills_by_chance_have_none_and_fills_at_lows_have_some() -> None:
    draw = np.random.default_rng(3)
    closes = {
        "BTC/USDT": pd.Series(
            100 * np.exp(np.cumsum(draw.normal(0, 0.01, 1200))), index=pd.date_range("2021-01-01", periods=1200, freq="h", tz="UTC")
        )
    }
    prices = closes["BTC/USDT"]
    made = [RestingFill(at=prices.index[i], symbol="BTC/USDT", side=1, value=1.0, price=float(prices.iloc[i])) for i in range(1150)]
    plain = adverse_selection(made, closes, (1,))[1]
    worse = adverse_selection([fill for fill, after in zip(made, prices.iloc[1:], strict=False) if after < fill.price], closes, (1,))[1]
    assert plain is not None and worse is not None
    assert abs(plain) < 8.0 < 40.0 < worse
