"""The sample market's perpetuals: a basis that follows the trend, marks between, and funding that follows the basis."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.history.sample_market import sample_candles
from forwardtrader.feeds.history.sample_perpetual import INTEREST, listed_perpetuals, perpetual_candles, perpetual_funding, perpetual_marks

HOUR, SYMBOL = Timeframe.parse("1h"), "BTC/USDT:USDT"
UNTIL, LATER = datetime(2019, 7, 1, tzinfo=UTC), datetime(2019, 9, 1, tzinfo=UTC)


def test_a_later_end_adds_bars_and_settlements_and_changes_none() -> None:
    for made in (perpetual_candles, perpetual_marks):
        short, long = (made(SYMBOL, HOUR, seed=0, until=until) for until in (UNTIL, LATER))
        pd.testing.assert_frame_equal(long.iloc[: len(short)], short, check_freq=False)
    few, many = (perpetual_funding(SYMBOL, seed=0, until=until) for until in (UNTIL, LATER))
    pd.testing.assert_series_equal(many.iloc[: len(few)], few, check_freq=False)


def test_funding_follows_the_trend_and_is_mostly_the_interest() -> None:
    funding = perpetual_funding(SYMBOL, seed=0, until=LATER)
    close = sample_candles("BTC/USDT", HOUR, seed=0, until=LATER)["close"]
    trend = np.log(close).diff(72).shift(1).reindex(funding.index)
    assert funding.corr(trend) > 0.4
    assert 0.2 < (funding == INTEREST).mean() < 0.8
    assert set(funding.index.hour) == {0, 8, 16}


def test_the_mark_stands_between_spot_and_perpetual() -> None:
    spot = sample_candles("BTC/USDT", HOUR, seed=0, until=UNTIL)["close"]
    perpetual, mark = (made(SYMBOL, HOUR, seed=0, until=UNTIL)["close"] for made in (perpetual_candles, perpetual_marks))
    between = (mark - spot) / (perpetual - spot)
    assert between[(perpetual - spot).abs() > 1.0].between(0.4, 0.6).all()
    assert SYMBOL in listed_perpetuals()
