"""Longer bars beside those traded: what a strategy sees of them, where its orders go, and what it is told where there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from forwardtrader.core.errors import InvalidSetting
from forwardtrader.core.types import Timeframe
from forwardtrader.feeds.backtrader_data import frame_data
from forwardtrader.strategies.backtrader.assembly import Feed, build_cerebro, extra_bars, record_of
from forwardtrader.strategies.user_code.missing_feeds import MissingFeed
from tests.strategies.market import BTC, ETH, HOUR, candles, feed, knobs, source

FREE = knobs(fee_bps=0, slippage_bps=0)
FOUR = Timeframe.parse("4h")


def own(bars: pd.DataFrame, rules: Any = BTC, timeframe: Timeframe = HOUR, forecast: Any = None) -> Feed:
    return Feed(data=frame_data(bars, timeframe), rules=rules, timeframe=timeframe, source=forecast)


class Trend(bt.Strategy):
    """Trades the traded feed by the direction of the longer one."""

    params = (("on", 0), ("size", 0.1))

    def next(self) -> None:
        data, slow = self.datas[self.p.on], self.data1
        if slow.close[0] > slow.close[-1] and not self.getposition(data).size:
            self.buy(data, size=self.p.size)
        elif slow.close[0] < slow.close[-1] and self.getposition(data).size:
            self.close(data)


def trade(feeds: list[Feed], strategy: type[bt.Strategy] = Trend, **options: Any) -> Any:
    return build_cerebro(feeds, FREE, strategy=strategy, **options).run()[0]


def test_a_strategy_has_its_longer_bars_as_data1_and_by_name() -> None:
    run = trade([own(candles(200)), own(candles(200, seed=3), ETH)], bt.Strategy, resample=("4h", "1d"))
    assert [data._name for data in run.datas] == ["BTC/USDT", "ETH/USDT", "BTC/USDT 4h", "ETH/USDT 4h", "BTC/USDT 1d", "ETH/USDT 1d"]
    assert run.getdatabyname("ETH/USDT 1d") is run.data5
    assert len(run.data4) == 200 // 24


def test_an_order_on_the_longer_bars_is_one_on_those_traded() -> None:
    bars = candles(400)
    on_short, on_long = (trade([own(bars)], resample=["4h"], strategy_params={"on": on}) for on in (0, 1))
    assert len(record_of(on_short).fills) > 20
    pd.testing.assert_frame_equal(record_of(on_short).fills, record_of(on_long).fills)
    pd.testing.assert_frame_equal(record_of(on_short).equity, record_of(on_long).equity)
    assert list(record_of(on_long).equity.columns) == ["equity", "cash", "exposure", "close:BTC/USDT"]


@pytest.mark.parametrize("options", [{"runonce": False}, {"preload": False, "runonce": False}])
def test_every_way_of_running_gives_the_same_account(options: dict[str, bool]) -> None:
    bars = candles(400).drop(index=candles(400).index[[50, 51, 52, 53, 54, 123, 300]])
    usual, other = trade([own(bars)], resample=["4h"]), trade([own(bars)], resample=["4h"], **options)
    pd.testing.assert_frame_equal(record_of(usual).fills, record_of(other).fills)
    pd.testing.assert_frame_equal(record_of(usual).equity, record_of(other).equity)


def test_what_is_decided_within_a_longer_bar_is_not_filled_at_its_open() -> None:
    bars, other = candles(96), candles(96, seed=5)
    rule = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    long = other.resample("4h").agg(rule).rename_axis("timestamp")

    class Once(bt.Strategy):
        def next(self) -> None:
            if self.data.datetime.datetime(0).hour == 5 and not self.getposition(self.data1).size:
                self.buy(self.data1, size=0.1)

    fills = record_of(trade([own(bars), own(long, ETH, FOUR)], Once)).fills
    assert fills["price"].tolist() == [long["open"].iloc[2]]  # decided at 06:00, in the bar from 04:00 on


def test_our_own_strategy_trades_as_without_longer_bars() -> None:
    bars = candles(600)
    eager = knobs(margin=0.2, holding="0d")
    runs = [build_cerebro([own(bars, forecast=source(bars))], eager, resample=resample).run()[0] for resample in ((), ("4h", "1d"))]
    assert len(record_of(runs[0]).fills) > 5
    pd.testing.assert_frame_equal(record_of(runs[0]).fills, record_of(runs[1]).fills)


def test_an_unsized_buy_takes_the_same_share_with_longer_bars_beside() -> None:
    sizes = []
    for resample in ((), ("4h",)):

        class Unsized(bt.Strategy):
            def next(self) -> None:
                if not self.position and len(self.data) == 30:
                    self.buy()

        sizes.append(record_of(trade([own(candles(60))], Unsized, resample=resample)).fills["size"].iloc[0])
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda s: s.data1.close, "self.data1"),
        (lambda s: s.datas[1], r"self.datas\[1\]"),
        (lambda s: s.data1_close, "self.data1_close"),
        (lambda s: bt.indicators.SMA(s.data2), "self.data2"),
    ],
)  # fmt: skip
def test_a_feed_that_is_not_there_is_named_with_what_to_add(ask: Callable[[Any], object], words: str) -> None:
    class Asking(bt.Strategy):
        def __init__(self) -> None:
            ask(self)

    with pytest.raises(MissingFeed, match=rf"Asking asks for {words}, and there is only BTC/USDT; add --resample .* or one more --symbol"):
        trade([own(candles(20))], Asking)


def test_a_strategy_may_find_out_what_it_has() -> None:
    class Careful(bt.Strategy):
        def __init__(self) -> None:
            self.found = (
                hasattr(self, "data1"),
                getattr(self, "data7", None),
                [d._name for d in self.datas[1:]],
                self.datas[-1] is self.data,
            )

    assert trade([own(candles(20))], Careful).found == (False, None, [], True)


def test_a_strange_feed_cannot_be_joined() -> None:
    with pytest.raises(InvalidSetting, match="BTC/USDT: bars of 4h can be joined of feeds made by frame_data"):
        build_cerebro([feed(candles(20))], FREE, resample=["4h"])


def test_longer_bars_have_a_longer_warm_up() -> None:
    assert extra_bars(HOUR) == 256
    assert extra_bars(HOUR, ["4h", "1d"]) == 256 * 24
