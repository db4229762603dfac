"""The sample market behaves like a market, is the same every time, and holds a predictable part of known size."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.clock import SystemClock
from forwardtrader.core.types import OHLCV, Timeframe
from forwardtrader.feeds.candles import schema as candles
from forwardtrader.feeds.candles.schema import Origin
from forwardtrader.feeds.files.import_file import read_candles
from forwardtrader.feeds.history.sample_market import SampleMarket, first_bar, known_ic, listed_symbols, sample_candles, simulate
from tests.feeds.made_candles import HOUR
from tests.feeds.stylised_facts import RANGES, facts, hourly_shape
from tests.real_data import real_candles

UNTIL = datetime(2026, 1, 1, 15, 30, tzinfo=UTC)
REAL = ("binance_spot_BTCUSDT_1h.csv.gz", "binance_spot_ETHUSDT_1h.csv.gz")


@lru_cache
def market(symbol: str = "BTC/USDT", seed: int = 0) -> SampleMarket:
    return simulate(symbol, HOUR, seed=seed, until=UNTIL)


def test_the_same_symbol_and_seed_give_the_same_candles() -> None:
    pd.testing.assert_frame_equal(simulate("BTC/USDT", HOUR, seed=0, until=UNTIL).candles, market().candles, check_exact=True)


@pytest.mark.parametrize("text", ["5m", "15m", "1h", "4h", "1d", "1w"])
def test_a_later_end_adds_candles_and_changes_none(text: str) -> None:
    timeframe = Timeframe.parse(text)
    until = first_bar(timeframe) + timedelta(days=60)
    short = sample_candles("ETH/USDT", timeframe, seed=4, until=until)
    longer = sample_candles("ETH/USDT", timeframe, seed=4, until=until + timedelta(days=11, hours=5))
    assert len(longer) > len(short)
    pd.testing.assert_frame_equal(longer.iloc[: len(short)], short, check_exact=True, check_freq=False)


@pytest.mark.parametrize(("symbol", "seed"), [("ETH/USDT", 0), ("BTC/USDT", 1)])
def test_another_symbol_or_seed_gives_other_candles(symbol: str, seed: int) -> None:
    assert not np.allclose(market(symbol, seed).candles["close"].pct_change()[1:], market().candles["close"].pct_change()[1:])


def test_it_runs_from_2019_to_yesterday_without_a_gap() -> None:
    index = market().candles.index
    assert (index[0], index[-1]) == (datetime(2019, 1, 1, tzinfo=UTC), datetime(2025, 12, 31, 23, tzinfo=UTC))
    assert candles.find_gaps(index, HOUR) == ()


@pytest.mark.parametrize("symbol", listed_symbols()[::7])
def test_every_listed_symbol_is_a_valid_market(symbol: str) -> None:
    frame = sample_candles(symbol, HOUR, seed=0, until=datetime(2020, 1, 1, tzinfo=UTC))
    pd.testing.assert_frame_equal(candles.validate(frame, HOUR, origin=Origin("sample")), frame)


def test_longer_bars_are_made_of_the_hourly_ones() -> None:
    daily = sample_candles("BTC/USDT", Timeframe.parse("1d"), seed=0, until=UNTIL)
    hourly = market().candles
    day = hourly.iloc[240:264]
    assert daily.iloc[10].tolist() == [
        day["open"].iloc[0],
        day["high"].max(),
        day["low"].min(),
        day["close"].iloc[-1],
        pytest.approx(day["volume"].sum()),
    ]
    assert list(daily.columns) == list(OHLCV)


def test_the_predictable_part_has_its_documented_size() -> None:
    """Its correlation with returns in units of volatility is `known_ic` by construction; the rank correlation comes close to it."""
    ranks, hits = [], []
    for seed in range(6):
        drawn = market(seed=seed)
        returns = np.log(drawn.candles["close"] / drawn.candles["open"])
        ranks.append(drawn.expected.rank().corr(returns.rank()))
        hits.append(float(np.mean(np.sign(drawn.expected) == np.sign(returns))))
    assert np.mean(ranks) == pytest.approx(known_ic(HOUR), abs=0.006)
    assert 0.515 < np.mean(hits) < 0.53


def test_the_expected_return_is_known_before_the_bar() -> None:
    """Cutting the market after any bar leaves the expectation of that bar as it was."""
    until = datetime(2019, 3, 1, tzinfo=UTC)
    cut, whole = simulate("BTC/USDT", HOUR, seed=0, until=until), market()
    pd.testing.assert_series_equal(cut.expected, whole.expected.iloc[: len(cut.expected)], check_exact=True, check_freq=False)
    with pytest.raises(ValueError, match="up to 1h"):
        simulate("BTC/USDT", Timeframe.parse("4h"), seed=0, until=until)


@pytest.mark.parametrize("text", ["5m", "15m"])
def test_a_year_is_as_wild_on_short_bars_as_on_hours(text: str) -> None:
    until = datetime(2026, 1, 1, tzinfo=UTC)
    daily = []
    for timeframe in (HOUR, Timeframe.parse(text)):
        closes = pd.concat(
            [simulate("BTC/USDT", timeframe, seed=seed, until=until).candles["close"].resample("1D").last() for seed in range(3)]
        )
        daily.append(np.log(closes).diff().dropna().clip(-0.3, 0.3).std())
    assert daily[0] / daily[1] == pytest.approx(1.0, abs=0.25)


def test_two_symbols_move_together() -> None:
    returns = [np.log(market(s).candles["close"]).diff()[1:] for s in ("BTC/USDT", "ETH/USDT")]
    assert 0.6 < returns[0].corr(returns[1]) < 0.9


@pytest.mark.parametrize("seed", range(4))
def test_the_stylised_facts_lie_where_real_markets_have_them(seed: int) -> None:
    found = facts(market(seed=seed).candles)
    outside = {name: found[name] for name, (low, high) in RANGES.items() if not low <= found[name] <= high}
    assert outside == {}


@lru_cache
def real_market(name: str) -> pd.DataFrame:
    return read_candles(real_candles(name), "BTC/USDT", HOUR, SystemClock())


@pytest.mark.parametrize("name", REAL)
def test_the_ranges_hold_for_real_candles_too(name: str) -> None:
    found = facts(real_market(name))
    outside = {key: found[key] for key, (low, high) in RANGES.items() if not low <= found[key] <= high}
    assert outside == {}


@pytest.mark.parametrize("name", REAL)
def test_the_day_has_the_shape_of_a_real_day(name: str) -> None:
    real = hourly_shape(real_market(name))
    shapes = [hourly_shape(market(seed=seed).candles) for seed in range(3)]
    assert min(np.corrcoef(shape, real)[0, 1] for shape in shapes) > 0.9
    assert max(np.abs(shape - real).max() for shape in shapes) < 0.2


def test_seven_years_of_hours_are_made_in_a_moment() -> None:
    began = time.thread_time()
    simulate("SOL/USDT", HOUR, seed=9, until=UNTIL)
    assert time.thread_time() - began < 1.5
