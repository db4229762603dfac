"""The path inside the bars of the sample market."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.candles.inside import inside_candles, made_up
from forwardtrader.feeds.history.sample_detail import inside_sample
from forwardtrader.feeds.history.sample_market import decimals_of, sample_candles
from forwardtrader.feeds.history.sample_perpetual import perpetual_candles, perpetual_inside, perpetual_marks

UNTIL = datetime(2019, 2, 1, tzinfo=UTC)


def inside(symbol: str, bars: pd.DataFrame, length: str, step: str) -> pd.DataFrame:
    return inside_sample(bars, Timeframe.parse(length), Timeframe.parse(step), symbol=symbol, seed=0, decimals=decimals_of(symbol))


@pytest.mark.parametrize(
    ("symbol", "length", "step"), [("BTC/USDT", "1h", "1m"), ("DOGE/USDT", "1h", "5m"), ("ETH/USDT", "1d", "1h"), ("SOL/USDT", "4h", "15m")]
)
def test_the_finer_bars_make_up_theirs(symbol: str, length: str, step: str) -> None:
    bars = sample_candles(symbol, Timeframe.parse(length), seed=0, until=UNTIL)
    found = inside_candles(bars, Timeframe.parse(length), inside(symbol, bars, length, step), Timeframe.parse(step))
    assert (found.missing, found.disagreeing, found.fault) == (0, 0, "")
    assert (found.candles["high"] >= found.candles[["open", "close"]].max(axis=1)).all()
    assert (found.candles["low"] <= found.candles[["open", "close"]].min(axis=1)).all()
    assert (found.candles["volume"] >= 0.0).all()


def test_a_bar_has_the_same_inside_whatever_the_span() -> None:
    bars = sample_candles("BTC/USDT", Timeframe.parse("1h"), seed=0, until=UNTIL)
    some = inside("BTC/USDT", bars.iloc[29:61], "1h", "10m")
    pd.testing.assert_frame_equal(inside("BTC/USDT", bars, "1h", "10m").loc[some.index], some, check_freq=False)


def test_high_and_low_come_in_either_order() -> None:
    bars = sample_candles("BTC/USDT", Timeframe.parse("1h"), seed=0, until=UNTIL)
    hours = inside("BTC/USDT", bars, "1h", "1m").groupby(pd.Grouper(freq="1h"))
    first = (hours["high"].idxmax() < hours["low"].idxmin()).mean()
    assert 0.35 < first < 0.65


def test_a_perpetual_and_its_mark_have_one_path() -> None:
    symbol, hour, step = "BTC/USDT:USDT", Timeframe.parse("1h"), Timeframe.parse("10m")
    bars, marks = (made(symbol, hour, seed=0, until=UNTIL).iloc[100:300] for made in (perpetual_candles, perpetual_marks))
    finer, inner = perpetual_inside(symbol, pd.DatetimeIndex(bars.index), hour, step, seed=0, until=UNTIL)
    found = inside_candles(bars, hour, finer, step)
    assert (found.missing, found.disagreeing) == (0, 0)
    assert made_up(inner, found.bar, marks).all()
