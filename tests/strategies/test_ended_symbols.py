"""A symbol whose bars end in mid-run is closed at its last price and told; what ends with the run is left as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import backtrader as bt
import pytest

from forwardtrader.feeds.backtrader_data import as_backtrader_days
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from tests.strategies.market import BTC, ETH, PERP, candles, feed, knobs


class HoldAll(bt.Strategy):
    """Takes a position in everything at once, leaves a limit order, and goes on ordering."""

    params = (("side", 1),)

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def notify_order(self, order: Any) -> None:
        self.told.append((order.data._name, order.getstatusname()))

    def next(self) -> None:
        for data in self.datas:
            if len(self) == 1:
                self.order_target_percent(data, target=0.3 * self.p.side)
                self.buy(data, size=0.01, exectype=bt.Order.Limit, price=float(data.close[0]) * 0.5)
        if len(self) == 45:
            self.buy(self.datas[1], size=0.01)


def play(side: int = 1, at_once: bool = True) -> Any:
    long, short = candles(60), candles(40, seed=4, price=1000.0)
    rules = (PERP, replace(PERP, symbol="ETH/USDT:USDT", base="ETH")) if side < 0 else (BTC, ETH)
    feeds = [feed(long, rules=rules[0]), replace(feed(short, rules=rules[1]), last_bar=float(as_backtrader_days(short.index[-1:])[0]))]
    cerebro = build_cerebro(
        feeds, knobs(fee_bps=10, slippage_bps=5), strategy=HoldAll, strategy_params={"side": side}, runonce=at_once, preload=at_once
    )
    return cerebro.run()[0]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("side", [1, -1])
def test_what_is_held_of_a_symbol_that_ends_is_closed_at_its_last_price(side: int, at_once: bool) -> None:
    s, last = play(side, at_once), candles(40, seed=4, price=1000.0).iloc[-1]
    record = record_of(s)
    symbol = s.datas[1]._name
    closing = record.fills[record.fills["symbol"] == symbol].iloc[-1]
    assert closing["price"] == pytest.approx(float(last["close"]) * (1 - 5e-4 * side))
    assert closing["fee"] == pytest.approx(closing["price"] * closing["size"] * 1e-3)
    assert closing["timestamp"] == last.name
    assert s.getposition(s.datas[1]).size == 0.0
    assert s.getposition(s.datas[0]).size != 0.0
    assert (symbol, "Canceled") in s.told
    assert "its bars end at 2022-01-02 15:00; " in record.ended[symbol]
    assert "closed at the last price" in record.ended[symbol]
    assert list(record.ended) == [symbol]
    assert record.refused[symbol] == {"its bars have ended": 1}
    assert len(record.equity) == 60


def test_a_run_of_one_symbol_ends_with_it() -> None:
    bars = candles(40)
    s = build_cerebro([feed(bars)], knobs(), strategy=HoldAll).run()[0]
    assert record_of(s).ended == {}
    assert s.position.size > 0
