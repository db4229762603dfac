"""Capacity by the square-root law: worked out by hand, and never better with more money."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forwardtrader.reports.statistics.portfolio.capacity import Capacity, capacity

INDEX = pd.date_range("2022-01-01", periods=24 * 90, freq="1h", tz="UTC")


def market(volume: float = 100.0) -> pd.DataFrame:
    daily = np.where(np.arange(90) % 2, 1.02, 1 / 1.02)
    close = np.repeat(100.0 * np.cumprod(daily), 24)
    return pd.DataFrame({"close": close, "volume": volume}, index=INDEX)


def fills_at(rows: list[int], size: float = 1.0) -> pd.DataFrame:
    return pd.DataFrame({"timestamp": INDEX[rows], "symbol": "A/USD", "size": size, "price": 100.0})


def traded(size: float = 1.0, volume: float = 100.0) -> Capacity:
    equity = pd.Series(np.linspace(10_000.0, 12_000.0, len(INDEX)), index=INDEX)
    found = capacity(equity, fills_at([1500, 1600, 1700, 1800], size), {"A/USD": market(volume)}, 365, 10_000.0)
    assert found is not None
    return found


def test_the_impact_of_one_fill_is_volatility_times_the_root_of_its_share_of_a_day() -> None:
    found = traded()
    deviation = pd.Series(np.log(np.where(np.arange(30) % 2, 1.02, 1 / 1.02))).std()
    day = (market()["close"] * 100.0).rolling("1D").sum()
    by_hand = [100.0 * deviation * (100.0 / day.iloc[row - 1]) ** 0.5 for row in (1500, 1600, 1700, 1800)]
    one = found.rows[0]
    assert one.impact_bps == pytest.approx(sum(by_hand) / 400.0 * 1e4)
    assert one.total_return == pytest.approx(0.2 - sum(by_hand) / 10_000.0)
    assert found.exhausted_at == pytest.approx(10_000.0 * (2_000.0 / sum(by_hand)) ** 2)


def test_a_hundred_times_the_money_pays_ten_times_the_impact() -> None:
    one, _, hundred, thousand = traded().rows
    assert hundred.impact_bps == pytest.approx(10.0 * one.impact_bps)
    assert (hundred.start_equity, hundred.largest_share) == (1_000_000.0, pytest.approx(100.0 * one.largest_share))
    assert one.total_return > hundred.total_return > thousand.total_return


def test_at_its_capacity_the_profit_is_gone() -> None:
    found = traded(size=20.0)
    times = found.exhausted_at / 10_000.0  # type: ignore[operator]
    impact = found.rows[0].impact_bps / 1e4 * 8_000.0 * times**0.5
    assert impact == pytest.approx(2_000.0)


def test_what_comes_after_a_fill_changes_nothing() -> None:
    equity = pd.Series(10_000.0, index=INDEX)
    later = market().assign(volume=np.where(INDEX[1500] < INDEX, 1e9, 100.0), close=np.where(INDEX[1500] < INDEX, 1.0, market()["close"]))
    both = [capacity(equity, fills_at([1500]), {"A/USD": each}, 365, 10_000.0) for each in (market(), later)]
    assert both[0] is not None and both[1] is not None
    assert both[0].rows[0].impact_bps == both[1].rows[0].impact_bps
    assert both[0].exhausted_at is None, "there was no profit"


def test_without_volume_or_fills_nothing_is_said() -> None:
    equity = pd.Series(10_000.0, index=INDEX)
    assert capacity(equity, fills_at([1500]), {"A/USD": market(0.0)}, 365, 10_000.0) is None
    assert capacity(equity, fills_at([]), {"A/USD": market()}, 365, 10_000.0) is None
    assert capacity(equity, fills_at([1500]), {}, 365, 10_000.0) is None
