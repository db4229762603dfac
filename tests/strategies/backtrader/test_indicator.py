"""The indicator: the same numbers whichever way Backtrader walks the bars, in anybody's strategy."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from forwardtrader.core.errors import FingerprintMismatch, InvalidSetting
from forwardtrader.models.forecaster import LastValueForecaster, RecordedForecasts
from forwardtrader.strategies.backtrader.indicator import LSTMForecast
from forwardtrader.strategies.feed_context import FeedContext, attach
from tests.strategies.market import BTC, HOUR, candles, forecasts, pandas_feed, source

LINES = ("location", "lower", "upper", "p_up", "scale")


class Watcher(bt.Strategy):
    params = (("source", None),)

    def __init__(self) -> None:
        self.forecast = LSTMForecast(self.data, source=self.p.source)
        self.seen: list[tuple[float, ...]] = []

    def prenext(self) -> None:
        self.next()

    def next(self) -> None:
        self.seen.append((self.data.datetime[0], *(getattr(self.forecast, line)[0] for line in LINES)))


def watch(data: Any, forecast: Any, **options: Any) -> np.ndarray:
    cerebro = bt.Cerebro(stdstats=False, **options)
    cerebro.adddata(data)
    cerebro.addstrategy(Watcher, source=forecast)
    return np.array(cerebro.run()[0].seen)


MODES = [{}, {"runonce": False}, {"preload": False}, {"exactbars": 1}, {"exactbars": -1}]


@pytest.mark.parametrize("options", MODES, ids=str)
def test_a_record_shows_the_same_numbers_in_every_mode(options: dict[str, Any]) -> None:
    bars = candles(300)
    frame = forecasts(bars)
    seen = watch(pandas_feed(bars), source(bars), **options)
    np.testing.assert_array_equal(seen[:, 1:], frame[["location", "q05", "q95", "p_up", "scale"]].to_numpy())


@pytest.mark.parametrize("options", MODES[1:], ids=str)
def test_a_forecaster_with_warm_up_shows_the_same_numbers_in_every_mode(options: dict[str, Any]) -> None:
    bars = candles(150)
    expected = watch(pandas_feed(bars), LastValueForecaster(24, window=48))
    seen = watch(pandas_feed(bars), LastValueForecaster(24, window=48), **options)
    assert np.isnan(expected[:48, 5]).all() and not np.isnan(expected[48:, 5]).any()
    np.testing.assert_array_equal(seen, expected)


def test_the_source_is_found_on_the_feed() -> None:
    bars = candles(60)
    data = pandas_feed(bars)
    attach(data, FeedContext(BTC, HOUR, source(bars)))
    assert len(watch(data, None)) == 60


def test_a_feed_without_forecasts_says_what_to_do() -> None:
    with pytest.raises(InvalidSetting, match="pass source="):
        watch(pandas_feed(candles(60)), None)


def test_a_later_bar_changes_no_earlier_line() -> None:
    bars = candles(120)
    later = bars.copy()
    later.iloc[-1] *= 1.5
    before, after = (watch(pandas_feed(b), LastValueForecaster(24, window=48)) for b in (bars, later))
    np.testing.assert_array_equal(before[:-1], after[:-1])
    assert (before[-1] != after[-1]).any()


@pytest.mark.parametrize("runonce", [True, False])
def test_resampled_bars_are_refused(runonce: bool) -> None:
    bars = candles(120)
    cerebro = bt.Cerebro(stdstats=False, runonce=runonce)
    forecast = LastValueForecaster(24, window=2)
    data = pandas_feed(bars)
    attach(data, FeedContext(BTC, HOUR, forecast))
    cerebro.resampledata(data, timeframe=bt.TimeFrame.Minutes, compression=240)
    cerebro.addstrategy(Watcher)
    with pytest.raises(InvalidSetting, match="bars of 14400 s, its forecasts are made for bars of 3600 s"):
        cerebro.run()


def test_bars_that_were_never_forecast_are_refused() -> None:
    bars = candles(120)
    with pytest.raises(FingerprintMismatch):
        watch(pandas_feed(bars), RecordedForecasts(forecasts(bars).iloc[:-5], horizon=24))


def test_gaps_between_bars_are_no_other_timeframe() -> None:
    bars = candles(120).drop(index=candles(120).index[[1, 2, 3, 50]])
    data = pandas_feed(bars)
    attach(data, FeedContext(BTC, HOUR, source(bars)))
    assert len(watch(data, None, runonce=False)) == 116


def test_the_example_of_the_docstring_trades() -> None:
    """The class in the docstring of `LSTMForecast` is run as it stands there."""
    text = LSTMForecast.__doc__ or ""
    lines = [line[8:] for line in text.splitlines() if line.startswith(" " * 8)]
    example = "\n".join(lines[next(i for i, line in enumerate(lines) if line.startswith("class BuyConfidence")) :])
    bars = candles(600)
    scope: dict[str, Any] = {"bt": bt, "LSTMForecast": LSTMForecast, "RecordedForecasts": RecordedForecasts, "frame": forecasts(bars)}
    exec(example, scope)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(pandas_feed(bars))
    cerebro.addstrategy(scope["BuyConfidence"])
    cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")
    assert cerebro.run()[0].analyzers.trades.get_analysis().total.closed > 3


def test_daily_bars_with_weekends_are_forecast() -> None:
    from forwardtrader.core.types import Timeframe

    bars = candles(80)
    bars.index = pd.bdate_range("2022-01-03", periods=80, tz="UTC", name="timestamp")
    naive = bars.set_axis(bars.index.tz_localize(None))
    data = bt.feeds.PandasData(dataname=naive)
    attach(data, FeedContext(BTC, Timeframe.parse("1d"), source(bars)))
    assert len(watch(data, None, runonce=False)) == 80
