"""The bar rule and Backtrader's own broker fill the same orders in the same bars at the same prices."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from forwardtrader.core.types import MarketRules, Side
from forwardtrader.sandbox.market.bar_source import file_bars, generated_bars
from forwardtrader.sandbox.orders.candle import Candle
from forwardtrader.sandbox.orders.order import NewOrder, OrderType
from forwardtrader.sandbox.venue import ACCOUNT, SandboxVenue
from tests.real_data import real_candles
from tests.sandbox.small_market import venue_of

HOUR = 3_600_000
TYPES = {"market": OrderType.MARKET, "limit": OrderType.LIMIT, "stop": OrderType.STOP, "stop limit": OrderType.STOP_LIMIT}
BT_TYPES = {"market": bt.Order.Market, "limit": bt.Order.Limit, "stop": bt.Order.Stop, "stop limit": bt.Order.StopLimit}
Fill = tuple[str, int, float, float]


def script(bars: list[Candle], seed: int) -> list[list[Any]]:
    """For each bar, what is done once it has closed: orders with prices around the close, and cancels."""
    rng = random.Random(seed)
    steps: list[list[Any]] = []
    for number, bar in enumerate(bars):
        reach = float(bar.high - bar.low) or float(bar.close) * 0.001
        near = [round(float(bar.close) + reach * rng.uniform(-2, 2), 2) for _ in range(4)]
        side, size = rng.choice(list(Side)), rng.randint(1, 50) / 1000
        kind = rng.choice(["single", "single", "single", "oco", "bracket", "cancel", "nothing"])
        steps.append([kind, f"{number}", side, size, rng.choice(list(TYPES)), near, rng.random()])
    return steps


class Scripted(bt.Strategy):
    params = (("steps", ()), ("fills", None))

    def __init__(self) -> None:
        self.open_orders: list[Any] = []

    def next(self) -> None:
        kind, tag, side, size, kind_name, near, chance = self.p.steps[len(self.data) - 1]
        act = self.buy if side is Side.BUY else self.sell
        undo = self.sell if side is Side.BUY else self.buy
        if kind == "single":
            self._keep(act(size=size, **priced(kind_name, near), tag=tag))
        elif kind == "oco":
            first = act(size=size, exectype=bt.Order.Limit, price=near[0], tag=tag + "a")
            self._keep(first, act(size=size, exectype=bt.Order.Stop, price=near[1], oco=first, tag=tag + "b"))
        elif kind == "bracket":
            parent = act(size=size, exectype=bt.Order.Limit, price=near[0], transmit=False, tag=tag)
            stop = undo(size=size, exectype=bt.Order.Stop, price=near[1], parent=parent, transmit=False, tag=tag + "s")
            self._keep(parent, stop, undo(size=size, exectype=bt.Order.Limit, price=near[2], parent=parent, transmit=True, tag=tag + "l"))
        elif kind == "cancel" and self.open_orders:
            self.cancel(self.open_orders[int(chance * len(self.open_orders))])

    def _keep(self, *orders: Any) -> None:
        self.open_orders += orders

    def notify_order(self, order: Any) -> None:
        if order.status == order.Completed:
            at = int(bt.num2date(order.executed.dt).replace(tzinfo=UTC).timestamp() * 1000)
            [bit] = order.executed.exbits  # the average of one execution would be rounded once more
            self.p.fills.append((order.info.tag, at, bit.price, abs(bit.size)))
        if not order.alive():
            self.open_orders = [o for o in self.open_orders if o.ref != order.ref]


def priced(kind_name: str, near: list[float]) -> dict[str, Any]:
    if kind_name == "market":
        return {"exectype": bt.Order.Market}
    limit = {"plimit": near[3]} if kind_name == "stop limit" else {}
    return {"exectype": BT_TYPES[kind_name], "price": near[0], **limit}


def by_backtrader(bars: list[Candle], steps: list[list[Any]]) -> list[Fill]:
    index = [datetime.fromtimestamp(b.start / 1000, UTC).replace(tzinfo=None) for b in bars]
    columns = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame([[float(getattr(b, name)) for name in columns] for b in bars], index=pd.DatetimeIndex(index), columns=columns)
    fills: list[Fill] = []
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    cerebro.broker.set_cash(1e12)
    cerebro.addstrategy(Scripted, steps=steps, fills=fills)
    cerebro.run(runonce=False)
    return fills


class Mirror:
    """The same script against the engine, in lockstep."""

    def __init__(self, venue: SandboxVenue) -> None:
        self.venue = venue
        self.open_orders: list[Any] = []

    def act(self, step: list[Any]) -> None:
        kind, tag, side, size, kind_name, near, chance = step
        other = Side.SELL if side is Side.BUY else Side.BUY
        exchange = self.venue.exchange
        if kind == "single":
            limit = near[3] if kind_name == "stop limit" else near[0] if kind_name == "limit" else None
            self._keep(exchange.place(ACCOUNT, request(tag, side, TYPES[kind_name], size, limit, near[0] if "stop" in kind_name else None)))
        elif kind == "oco":
            legs = [request(tag + "a", side, OrderType.LIMIT, size, near[0]), request(tag + "b", side, OrderType.STOP, size, None, near[1])]
            self._keep(*exchange.place_list(ACCOUNT, legs).orders)
        elif kind == "bracket":
            legs = [
                request(tag + "s", other, OrderType.STOP, size, None, near[1]),
                request(tag + "l", other, OrderType.LIMIT, size, near[2]),
            ]
            parent = request(tag, side, OrderType.LIMIT, size, near[0])
            self._keep(*exchange.place_list(ACCOUNT, legs, working=parent).orders)
        elif kind == "cancel":
            # Backtrader removes an order from its list when it is notified of its end, which is before the next step.
            self.open_orders = [o for o in self.open_orders if o.is_open]
            if self.open_orders:
                exchange.cancel(self.open_orders[int(chance * len(self.open_orders))])

    def _keep(self, *orders: Any) -> None:
        self.open_orders += orders


def request(tag: str, side: Side, kind: OrderType, size: float, limit: float | None = None, stop: float | None = None) -> NewOrder:
    prices = [None if p is None else Decimal(str(p)) for p in (limit, stop)]
    return NewOrder(
        symbol="BTC/USDT", side=side, type=kind, size=Decimal(str(size)), limit_price=prices[0], stop_price=prices[1], client_id=tag
    )  # fmt: skip


def by_the_sandbox(bars: list[Candle], steps: list[list[Any]], folder: Path) -> list[Fill]:
    path = folder / "bars.csv"
    rows = [f"{b.start},{b.open},{b.high},{b.low},{b.close},{b.volume}" for b in bars]
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *rows]) + "\n")
    rich = {"USDT": "1e12", "BTC": "1e6"}
    rules = {"BTC/USDT": {"min_notional": 0, "step": "0.001", "min_size": "0.001"}}
    venue = venue_of(folder, [], timeframe="1h", market=[str(path)], balances=rich, rules=rules, max_orders=10**6, max_trigger_orders=10**6)
    mirror = Mirror(venue)
    for step in steps[:-1]:
        mirror.act(step)
        venue.driver.advance()
    trades = venue.exchange.order_index.trades
    orders = venue.exchange.order_index.orders
    return [(orders[t.order_id].request.client_id, t.at - t.at % HOUR, float(t.price), float(t.size)) for t in trades]


def compare(bars: list[Candle], folder: Path, seed: int) -> int:
    steps = script(bars, seed)
    expected, got = by_backtrader(bars, steps), by_the_sandbox(bars, steps, folder)
    assert sorted(got) == sorted(expected)
    return len(got)


def generated() -> Iterator[Candle]:
    rules = MarketRules(symbol="BTC/USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), step=Decimal("0.001"))
    return generated_bars(rules, 1_704_067_200_000, HOUR, seed=4)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fills_equal_backtraders_over_generated_bars(tmp_path: Path, seed: int) -> None:
    assert compare(list(islice(generated(), 500)), tmp_path, seed) > 150


def test_fills_equal_backtraders_over_five_thousand_real_bars(tmp_path: Path) -> None:
    bars = file_bars(real_candles("binance_spot_BTCUSDT_1h.csv.gz"), HOUR)[-5000:]
    assert compare(bars, tmp_path, seed=7) > 2500
