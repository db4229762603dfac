"""The broker: it fills as Backtrader's own does, and takes only what the venue would take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from tests.strategies.market import BTC, PERP, candles, feed, knobs

FREE = knobs(fee_bps=0, slippage_bps=0)


class Script(bt.Strategy):
    """Does on bar n what `steps[n]` says, and keeps what it is told."""

    params = (("steps", {}),)

    def __init__(self) -> None:
        self.orders: list[Any] = []
        self.told: list[tuple[int, str]] = []
        self.trades: list[Any] = []

    def notify_order(self, order: Any) -> None:
        self.told.append((order.ref, order.getstatusname()))

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.trades.append(trade)

    def next(self) -> None:
        step = self.p.steps.get(len(self.data) - 1)
        if step is not None:
            made = step(self)
            self.orders += made if isinstance(made, list) else [made]


def play(
    bars: pd.DataFrame, steps: dict[int, Callable[[Any], Any]], rules: MarketRules = BTC, settings: StrategySettings = FREE, **options: Any
) -> Any:
    cerebro = build_cerebro([feed(bars, rules=rules)], settings, strategy=Script, strategy_params={"steps": steps}, **options)
    return cerebro.run()[0]


def flat(rows: int = 8, price: float = 100.0) -> pd.DataFrame:
    """Bars that open and close at one price and reach one above and below."""
    bars = candles(rows)
    bars["open"] = bars["close"] = price
    bars["high"], bars["low"] = price + 1, price - 1
    return bars


def refusal(strategy: Any, nth: int = 0) -> str:
    order = strategy.orders[nth]
    assert order.status == bt.Order.Rejected
    assert (order.ref, "Rejected") in strategy.told
    return str(order.info.refusal)


def test_sizes_and_prices_are_put_on_the_grid() -> None:
    s = play(flat(), {0: lambda s: s.buy(size=1.234567, exectype=bt.Order.Limit, price=99.459), 1: lambda s: s.buy(size=0.123456)})
    assert [(o.created.size, o.created.price) for o in s.orders] == [(1.23456, 99.45), (0.12345, 100.0)]
    assert s.position.size == pytest.approx(1.35801)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (lambda s: s.sell(size=1), "cannot be sold short"),
        (lambda s: s.buy(size=0.000001), "below the smallest of"),
        (lambda s: s.buy(size=0.04), "notional"),
    ],
)
def test_what_the_venue_refuses_is_rejected_with_the_reason(step: Callable[[Any], Any], words: str) -> None:
    s = play(flat(), {0: step})
    assert words in refusal(s)
    assert s.position.size == 0
    assert s.broker.getvalue() == FREE.cash


def test_more_than_is_held_cannot_be_sold() -> None:
    s = play(flat(), {0: lambda s: s.buy(size=1), 2: lambda s: s.sell(size=1.5), 3: lambda s: s.sell(size=1)})
    assert "more than the 1" in refusal(s, 1)
    assert s.position.size == 0


def test_units_locked_by_a_resting_order_cannot_be_sold_again() -> None:
    steps = {
        0: lambda s: s.buy(size=1),
        2: lambda s: s.sell(size=0.75, exectype=bt.Order.Limit, price=200),
        3: lambda s: s.sell(size=0.5),
        4: lambda s: s.sell(size=0.25),
    }
    s = play(flat(), steps)
    assert "more than the 0.25" in refusal(s, 2)
    assert s.position.size == 0.75


def test_cancelling_frees_the_units_at_once_even_on_the_bar_of_the_order() -> None:
    def change_of_mind(s: Any) -> list[Any]:
        resting = s.sell(size=1, exectype=bt.Order.Stop, price=90)
        s.cancel(resting)
        return [resting, s.sell(size=1)]

    s = play(flat(), {0: lambda s: s.buy(size=1), 2: change_of_mind})
    assert s.orders[1].status == bt.Order.Canceled
    assert s.position.size == 0


def test_a_short_sale_is_filled_where_the_market_allows_it() -> None:
    s = play(flat(), {0: lambda s: s.sell(size=1)}, rules=PERP)
    assert s.position.size == -1


def test_a_bracket_locks_its_units_once_and_ends_with_one_exit() -> None:
    bars = flat(10)
    bars.loc[bars.index[5], "high"] = 120.0
    s = play(bars, {0: lambda s: s.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=90, limitprice=110)})
    assert [o.getstatusname() for o in s.orders] == ["Completed", "Canceled", "Completed"]
    assert s.position.size == 0
    assert s.broker.getvalue() == FREE.cash + 10


def test_an_oco_pair_on_a_holding_locks_its_units_once() -> None:
    def pair(s: Any) -> list[Any]:
        stop = s.sell(size=1, exectype=bt.Order.Stop, price=90)
        return [stop, s.sell(size=1, exectype=bt.Order.Limit, price=101, oco=stop)]

    s = play(flat(), {0: lambda s: s.buy(size=1), 2: pair})
    assert [o.getstatusname() for o in s.orders] == ["Completed", "Canceled", "Completed"]
    assert s.position.size == 0


def test_a_market_order_is_cut_to_the_venues_largest() -> None:
    s = play(flat(), {0: lambda s: s.buy(size=5)}, rules=replace(BTC, max_market_size=Decimal(2)))
    assert s.position.size == 2


def test_an_order_that_the_cash_does_not_pay_for_ends_in_margin() -> None:
    s = play(flat(), {0: lambda s: s.buy(size=101)})
    assert s.orders[0].status == bt.Order.Margin


def test_the_slippage_of_a_trailing_stop_is_written_down_as_it_was_charged() -> None:
    bars = flat(12)
    bars.loc[bars.index[5], ["low", "close"]] = [80.0, 85.0]
    steps = {1: lambda s: s.buy(size=1.0), 3: lambda s: s.sell(size=1.0, exectype=bt.Order.StopTrail, trailamount=10.0)}
    fills = record_of(play(bars, steps, settings=knobs(fee_bps=0, slippage_bps=100))).fills
    assert fills["price"].to_list() == pytest.approx([101.0, 90.0 * 0.99])
    assert fills["slippage"].to_list() == pytest.approx([1.0, 0.9])


def test_slippage_is_charged_in_full_on_market_and_stop_orders() -> None:
    bars = flat(10)
    bars["high"], bars["low"] = 100.0, 100.0  # the slipped price lies outside every bar
    bars.loc[bars.index[5] :, ["open", "high", "low", "close"]] = 80.0
    settings = knobs(fee_bps=0, slippage_bps=100)
    s = play(bars, {0: lambda s: s.buy(size=1), 2: lambda s: s.sell(size=1, exectype=bt.Order.Stop, price=90)}, settings=settings)
    fills = record_of(s).fills
    assert fills["price"].to_list() == [101.0, 80 * 0.99]  # bought at the open, stopped at an open below the trigger
    assert fills["slippage"].to_list() == pytest.approx([1.0, 0.8])


def test_a_limit_order_never_pays_more_than_its_limit() -> None:
    settings = knobs(fee_bps=0, slippage_bps=100)
    s = play(flat(), {0: lambda s: s.buy(size=1, exectype=bt.Order.Limit, price=100.2)}, settings=settings)
    assert record_of(s).fills["price"].to_list() == [100.2]


def test_a_bar_without_a_trade_fills_nothing() -> None:
    bars = flat()
    bars.loc[bars.index[1:4], ["open", "high", "low", "close"]] = 50.0
    bars.loc[bars.index[1:4], "volume"] = 0.0
    s = play(bars, {0: lambda s: s.buy(size=1)})
    fills = record_of(s).fills
    assert fills["price"].to_list() == [100.0]
    assert fills["timestamp"].to_list() == [bars.index[4]]


def test_orders_before_the_first_traded_day_are_refused() -> None:
    bars = flat()
    days = {"trade_from": bars.index[3].to_pydatetime(), "begins": bars.index[0].to_pydatetime()}
    s = play(bars, {0: lambda s: s.buy(size=1), 3: lambda s: s.buy(size=1)}, **days)
    assert "has not come yet" in refusal(s, 0)
    assert s.orders[1].status == bt.Order.Completed


def test_a_fee_in_base_currency_delivers_less_and_costs_the_same() -> None:
    settings = knobs(fee_bps=10, slippage_bps=0)
    steps = {0: lambda s: s.buy(size=1), 3: lambda s: s.sell(size=s.position.size)}
    quote, base = play(flat(), steps, settings=settings), play(flat(), steps, rules=replace(BTC, fee_in_base=True), settings=settings)
    bought, sold = (row for _, row in record_of(base).fills.iterrows())
    assert (bought["size"], bought["price"], bought["fee"], bought["fee_currency"]) == (1.0, 100.0, pytest.approx(0.001), "BTC")
    assert (sold["size"], sold["fee_currency"]) == (0.999, "USDT")
    assert base.broker.getvalue() == pytest.approx(quote.broker.getvalue(), abs=1e-3)
    assert base.orders[0].status == base.orders[1].status == bt.Order.Completed
    assert base.position.size == 0
    assert len(base.trades) == 1


def test_what_a_base_fee_left_off_the_grid_stays_as_dust() -> None:
    settings = knobs(fee_bps=10, slippage_bps=0)
    steps = {0: lambda s: s.buy(size=0.12345), 3: lambda s: s.sell(size=s.position.size)}
    s = play(flat(), steps, rules=replace(BTC, fee_in_base=True), settings=settings)
    assert 0 < s.broker.holdings.held[s.data].size < 0.00001
    assert not s.position


def test_floats_that_almost_cancel_leave_no_position() -> None:
    steps = {0: lambda s: s.buy(size=0.1), 2: lambda s: s.buy(size=0.2), 4: lambda s: s.sell(size=0.3)}
    s = play(flat(), steps)
    assert s.position.size == 0.0
    assert len(s.trades) == 1


def test_fills_and_equity_equal_backtraders_own_broker() -> None:
    """On a fine grid and without slippage, the same crossover trades alike on both brokers."""

    class Crossover(bt.Strategy):
        def __init__(self) -> None:
            self.signal = bt.indicators.CrossOver(self.data.close, bt.indicators.SMA(period=20))

        def next(self) -> None:
            if self.signal[0] > 0 and not self.position:
                self.buy(size=0.25)
            elif self.signal[0] < 0 and self.position:
                self.close()

    bars, settings = candles(600), knobs(fee_bps=10, slippage_bps=0)
    ours = build_cerebro([feed(bars)], settings, strategy=Crossover).run()[0]
    plain = bt.brokers.BackBroker()
    plain.setcash(settings.cash)
    plain.setcommission(settings.fee_bps / 1e4)
    theirs = build_cerebro([feed(bars)], settings, strategy=Crossover, broker=plain).run()[0]
    assert len(record_of(ours).fills) > 20
    pd.testing.assert_frame_equal(record_of(ours).fills, record_of(theirs).fills)
    pd.testing.assert_frame_equal(record_of(ours).equity, record_of(theirs).equity)


class StopOnTheSecondSymbol(bt.Strategy):
    """Buys the second symbol on its second bar, and rests a stop on the bar in which the price was below it."""

    def next(self) -> None:
        if len(self) == 1:
            self.buy(self.datas[1], size=1)
        elif len(self) == 4:
            self.sell(self.datas[1], size=1, exectype=bt.Order.Stop, price=90.0)


def test_an_order_is_not_filled_in_the_bar_it_was_made_on_where_its_symbol_lacks_the_next_one() -> None:
    first, second = flat(10), flat(10)
    second.loc[second.index[3], "low"] = 80.0
    second = second.drop(second.index[4])
    feeds = [feed(first), feed(second, rules=replace(BTC, symbol="ETH/USDT", base="ETH"))]
    fills = record_of(build_cerebro(feeds, FREE, strategy=StopOnTheSecondSymbol).run()[0]).fills
    assert fills["side"].to_list() == ["buy"]


def test_a_sale_on_the_bar_that_filled_a_brackets_parent_leaves_the_coins_to_its_children() -> None:
    bars = flat()
    bars.iloc[4:, :4] = 80.0
    steps = {0: lambda s: s.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=90, limitprice=150), 1: lambda s: s.sell(size=1)}
    s = play(bars, steps)
    assert "none is held free of other orders" in refusal(s, 3)
    assert s.position.size == 0  # the stop sold it, once


def small_stop(s: Any) -> list[Any]:
    """A bracket whose stop would be worth too little at its price: 4.59 of the 5 that are the least."""
    return list(s.buy_bracket(size=0.051, exectype=bt.Order.Market, stopprice=90, limitprice=150))


def small_target(s: Any) -> list[Any]:
    """The same for the last order of a bracket, which would send the others."""
    return list(s.sell_bracket(size=0.051, exectype=bt.Order.Market, stopprice=110, limitprice=50))


@pytest.mark.parametrize(("bracket", "rules", "others"), [(small_stop, BTC, "Rejected"), (small_target, PERP, "Canceled")])
def test_a_bracket_does_not_leave_without_one_of_its_children(bracket: Any, rules: MarketRules, others: str) -> None:
    s = play(flat(), {0: bracket, 4: lambda s: s.buy(size=1)}, rules=replace(rules, min_notional=Decimal(5)))
    parent, stop, target, later = s.orders
    assert [parent.getstatusname(), later.getstatusname()] == ["Rejected", "Completed"]
    assert parent.info.refusal.startswith("a child order of it was refused: ")
    assert sorted([stop.getstatusname(), target.getstatusname()]) == sorted(["Rejected", others])
    assert s.position.size == 1
    assert not any(order.alive() for family in s.broker._pchildren.values() for order in family)
    assert record_of(s).refused["BTC/USDT" if rules is BTC else PERP.symbol]["a child order of it was refused"] == 1


def test_a_bracket_that_is_taken_back_before_its_last_order_never_leaves() -> None:
    def enter(s: Any) -> list[Any]:
        parent = s.buy(size=1, transmit=False)
        stop = s.sell(size=1, exectype=bt.Order.Stop, price=90, parent=parent, transmit=False)
        s.cancel(parent)
        return [parent, stop, s.sell(size=1, exectype=bt.Order.Limit, price=150, parent=parent)]

    s = play(flat(), {0: enter})
    assert [order.getstatusname() for order in s.orders] == ["Canceled", "Canceled", "Rejected"]
    assert s.position.size == 0


def test_a_backtest_with_market_orders_on_close_says_that_real_orders_would_refuse_them() -> None:
    s = play(flat(60), {0: lambda s: s.buy(size=1, exectype=bt.Order.Close)})
    assert s.position.size == 1  # as in Backtrader
    (note,) = record_of(s).backtest_only.values()
    assert note.startswith("1 market order on close (Order.Close), which a session with real orders refuses")
    assert record_of(play(flat(), {0: lambda s: s.buy(size=1)})).backtest_only == {}


def test_a_trailing_stop_stands_on_the_grid_and_is_not_reached_by_the_bar_that_moved_it() -> None:
    """Where only another symbol has a bar, it is not tried again on the newest one of its own."""
    bars = flat(8)
    bars.loc[bars.index[3], ["high", "low", "close"]] = [106.2, 98.0, 106.0061]
    bars.loc[bars.index[4] :, ["open", "high", "low", "close"]] = [106.0, 107.0, 105.0, 106.0]

    def trail(s: Any) -> Any:
        s.trail = s.sell(size=1, exectype=bt.Order.StopTrail, trailamount=2.5)
        return s.trail

    feeds = [feed(bars.drop(bars.index[4])), feed(flat(8), rules=replace(BTC, symbol="ETH/USDT"))]
    steps: dict[int, Callable[[Any], Any]] = {0: lambda s: s.buy(size=1), 2: trail}
    s = build_cerebro(feeds, FREE, strategy=Script, strategy_params={"steps": steps}).run()[0]
    assert s.trail.created.price == pytest.approx(103.51, abs=1e-9)
    assert s.position.size == 1.0
