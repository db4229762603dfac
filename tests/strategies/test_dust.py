"""What cannot be sold is no position for a strategy, and stays in the account's value to the unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import MarketRules, Side
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.holdings import trade_parts
from forwardtrader.strategies.order_rules import OrderRequest, RawOrder, is_dust, normalise
from tests.strategies.backtrader.test_broker import Script, flat, play
from tests.strategies.market import BTC, ETH, PERP, feed, knobs

SPOT = replace(BTC, fee_in_base=True)
COSTS = knobs(fee_bps=10, slippage_bps=0)
Steps = dict[int, Callable[[Any], Any]]


def run(steps: Steps, bars: pd.DataFrame | None = None, rules: MarketRules = SPOT, costs: Any = COSTS) -> Any:
    return play(flat(24) if bars is None else bars, steps, rules=rules, settings=costs)


def notes(steps: dict[int, Callable[[Any], Any]], **options: Any) -> tuple[Any, dict[int, Any]]:
    """What each step returned, by bar, and the strategy."""
    seen: dict[int, Any] = {}

    def noting(bar: int, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def act(s: Any) -> list[Any]:
            seen[bar] = step(s)
            return []

        return act

    return run({bar: noting(bar, step) for bar, step in steps.items()}, **options), seen


def held(s: Any, data: Any = None) -> float:
    return float(s.broker.holdings.held[s.data if data is None else data].size)


def units_by_fills(s: Any) -> float:
    """What the fills say is left, the fee in base taken off."""
    fills = record_of(s).fills
    signed = fills["size"].where(fills["side"] == "buy", -fills["size"])
    return float(signed.sum() - fills["fee"].where(fills["fee_currency"] == "BTC", 0.0).sum())


def test_a_close_leaves_a_strategy_flat_and_the_dust_in_its_account() -> None:
    s, seen = notes({0: lambda s: s.buy(size=0.12345), 3: lambda s: s.close(), 6: lambda s: s.close()})
    assert 0 < held(s) < 0.00001
    assert not s.position
    assert seen[6] is None
    assert s.broker.getvalue() == pytest.approx(s.broker.getcash() + held(s) * 100.0, rel=1e-12)
    assert held(s) == pytest.approx(units_by_fills(s), rel=1e-6)
    assert record_of(s).refused == {}


@pytest.mark.parametrize(
    "look",
    [
        lambda s: s.position.size,
        lambda s: s.getposition(s.data).size,
        lambda s: s.getpositionbyname("BTC/USDT").size,
        lambda s: s.positions[s.data].size,
        lambda s: s.positionsbyname["BTC/USDT"].size,
        lambda s: s.broker.getposition(s.data).size,
        lambda s: s.broker.positions[s.data].size,
        lambda s: sum(p.size for p in s.broker.positions.values()),
        lambda s: s.broker.get_value([s.data]),
        lambda s: s.broker.getvalue(datas=[s.data]),
    ],
)
def test_every_way_to_ask_for_the_position_gives_the_same_answer(look: Callable[[Any], float]) -> None:
    s, seen = notes({0: lambda s: s.buy(size=0.12345), 2: look, 3: lambda s: s.close(), 6: look})
    assert seen[2] > 0
    assert seen[6] == 0
    assert held(s) > 0


@pytest.mark.parametrize("name", ["order_target_size", "order_target_value", "order_target_percent"])
def test_a_target_of_nothing_is_met_by_dust(name: str) -> None:
    s, seen = notes({0: lambda s: s.buy(size=0.12345), 3: lambda s: getattr(s, name)(target=0), 6: lambda s: getattr(s, name)(target=0)})
    assert seen[3].isbuy() is False
    assert seen[6] is None
    assert record_of(s).refused == {}
    assert held(s) > 0


def test_a_later_buy_adds_to_the_dust_and_the_next_close_sells_all_that_can_be_sold() -> None:
    buy, close = (lambda s: s.buy(size=0.12345)), (lambda s: s.close())
    s, _ = notes({0: buy, 2: close, 4: buy, 6: close, 8: buy, 10: lambda s: s.close(), 12: buy, 14: close})
    sold = record_of(s).fills.query("side == 'sell'")["size"].to_list()
    assert sold == [0.12332, 0.12333, 0.12332, 0.12333]  # each buy brings 0.12332655: two rests are more than a step
    assert held(s) == pytest.approx(4 * 0.12332655 - sum(sold), abs=1e-12)


def falling(*closes: tuple[int, float]) -> pd.DataFrame:
    bars = flat(24)
    for at, price in closes:
        bars.loc[bars.index[at] :, ["open", "high", "low", "close"]] = price
    return bars


def test_a_position_is_dust_while_its_price_is_below_the_smallest_notional_and_is_one_again_above() -> None:
    bars = falling((4, 40.0), (8, 100.0))
    buy, size = (lambda s: s.buy(size=0.1)), (lambda s: s.position.size)
    s, seen = notes({0: buy, 2: size, 5: size, 6: lambda s: s.close(), 9: size, 10: lambda s: s.close(), 12: size}, bars=bars)
    assert [seen[bar] for bar in (2, 5, 9, 12)] == [pytest.approx(0.0999), 0, pytest.approx(0.0999), 0]
    assert seen[6] is None
    assert record_of(s).refused == {}
    equity = record_of(s).equity
    assert equity["equity"].iloc[5] == pytest.approx(equity["cash"].iloc[5] + 0.0999 * 40)
    assert record_of(s).fills["side"].to_list() == ["buy", "sell"]


def test_the_smallest_order_may_arrive_as_dust_and_the_next_one_is_added() -> None:
    s, seen = notes({0: lambda s: s.buy(size=0.05), 2: lambda s: s.position.size, 3: lambda s: s.buy(size=0.05), 5: lambda s: s.close()})
    assert seen[2] == 0
    assert seen[5].size == pytest.approx(-0.0999)
    assert len(s.trades) == 1


class Trades(Script):
    """Also notes, with every closed trade, whether it is flat."""

    def notify_trade(self, trade: Any) -> None:
        super().notify_trade(trade)
        if trade.isclosed:
            self.flat_at_close = [*getattr(self, "flat_at_close", []), not self.position]


def traded(steps: Steps, bars: pd.DataFrame | None = None, rules: MarketRules = SPOT) -> Any:
    bars = flat(24) if bars is None else bars
    analyzers = [(bt.analyzers.TradeAnalyzer, {"_name": "trades"})]
    cerebro = build_cerebro([feed(bars, rules=rules)], COSTS, strategy=Trades, strategy_params={"steps": steps}, analyzers=analyzers)
    return cerebro.run()[0]


def test_a_trade_is_closed_when_the_strategy_is_flat() -> None:
    buy, close = (lambda s: s.buy(size=0.12345)), (lambda s: s.close())
    s = traded({0: buy, 3: close, 6: buy, 9: lambda s: s.sell(size=0.06), 12: close, 15: buy})
    assert s.flat_at_close == [True, True]
    count = s.analyzers.trades.get_analysis().total
    assert (count.total, count.closed, count.open) == (3, 2, 1)


def test_what_trades_earned_is_what_the_account_earned_but_for_the_dust() -> None:
    bars = falling((4, 110.0), (8, 90.0), (12, 120.0))
    buy, close = (lambda s: s.buy(size=10.12345)), (lambda s: s.close())
    s = traded({0: buy, 4: close, 6: buy, 10: close, 12: buy, 14: lambda s: s.sell(size=5), 16: close}, bars)
    assert len(s.trades) == 3
    assert s.broker.getvalue() - COSTS.cash == pytest.approx(sum(trade.pnlcomm for trade in s.trades), abs=3 * 0.00002 * 120)


@given(
    parts=st.lists(st.tuples(st.integers(-400, 400).filter(bool), st.booleans()), max_size=20),
)
def test_a_trade_is_open_exactly_from_a_buy_to_the_sale_that_leaves_dust(parts: list[tuple[int, bool]]) -> None:
    """`flat` is said at random where something is left: whatever dust is, trades and position never part for good."""
    before, trade, known = 0.0, 0.0, False
    for size, flat_now in parts:
        after = before + size
        is_flat = after == 0 or flat_now
        closed, opened = trade_parts(before, size, known=known, is_flat=is_flat)
        assert closed * trade <= 0 and abs(closed) <= abs(trade)
        trade += closed + opened
        known = trade != 0
        assert trade in (0.0, after)
        assert not (trade and is_flat and abs(after) < abs(before))
        before = after


GRIDS = st.sampled_from([Decimal(t) for t in ("1", "0.1", "0.01", "0.001", "0.0001", "0.00001", "0.25")])


@st.composite
def markets(draw: Any) -> MarketRules:
    step = draw(GRIDS)
    return replace(
        BTC, step=step, min_size=draw(st.sampled_from([Decimal(0), step, 3 * step])),
        min_notional=draw(st.sampled_from([Decimal(0), Decimal(1), Decimal(5), Decimal(10)])), fee_in_base=draw(st.booleans()),
    )  # fmt: skip


@given(rules=markets(), price=st.floats(0.01, 1e5), size=st.floats(1e-6, 1e4))
def test_a_holding_is_dust_exactly_where_the_venue_refuses_to_sell_it(rules: MarketRules, price: float, size: float) -> None:
    answer = normalise(RawOrder(side=Side.SELL, size=size, reference=price), rules, sellable=size)
    assert is_dust(size, price, rules) is not isinstance(answer, OrderRequest)
    assert is_dust(-size, price, rules) is is_dust(size, price, rules)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rules=markets(), fee=st.floats(0, 120), price=st.floats(1, 500), sizes=st.lists(st.floats(0.001, 3), min_size=1, max_size=4),
    moves=st.lists(st.floats(0.5, 1.6), min_size=8, max_size=8),
)  # fmt: skip
def test_every_close_is_filled_or_the_strategy_was_flat(
    rules: MarketRules, fee: float, price: float, sizes: list[float], moves: list[float]
) -> None:
    bars = flat(26, price)
    for number, move in enumerate(moves):
        bars.loc[bars.index[3 * number + 1] :, ["open", "high", "low", "close"]] *= move
    closes: list[Any] = []
    steps: dict[int, Callable[[Any], Any]] = {}
    for number, size in enumerate(sizes):
        steps[6 * number] = lambda s, size=size: s.buy(size=size)
        steps[6 * number + 3] = lambda s: closes.append((bool(s.position), s.close())) or []
        steps[6 * number + 5] = lambda s: closes.append((bool(s.position), None)) or []
    s = play(bars, steps, rules=rules, settings=knobs(cash=1e6, fee_bps=fee, slippage_bps=0))
    for (was_held, order), (is_held, _) in zip(closes[::2], closes[1::2], strict=True):
        assert (order is not None) is was_held
        assert order is None or order.status == bt.Order.Completed
        assert not (was_held and is_held), "a close left a position"
    left = record_of(s).fills
    units = (left["size"].where(left["side"] == "buy", -left["size"])).sum() - left["fee"].where(left["fee_currency"] == "BTC", 0.0).sum()
    assert held(s) == pytest.approx(units, abs=1e-9)
    assert s.broker.getvalue() == pytest.approx(s.broker.getcash() + held(s) * s.data.close[0], rel=1e-9)


def test_what_is_left_of_a_short_below_the_smallest_order_is_flat_too() -> None:
    market = replace(PERP, fee_in_base=True)
    s = traded({0: lambda s: s.sell(size=0.5), 3: lambda s: s.close(), 6: lambda s: s.close(), 9: lambda s: s.sell(size=0.5)}, rules=market)
    assert s.orders[2] is None
    assert held(s) == pytest.approx(-0.5 - 0.0005)
    assert s.position.size == held(s)
    assert s.flat_at_close == [True]


def test_dust_is_passed_through_zero_on_a_market_that_can_be_shorted() -> None:
    market = replace(PERP, fee_in_base=True)
    s = traded(
        {0: lambda s: s.buy(size=0.12345), 3: lambda s: s.close(), 6: lambda s: s.sell(size=0.5), 9: lambda s: s.close()}, rules=market
    )
    assert len(s.trades) == 2
    assert s.flat_at_close == [True, True]
    assert not s.trades[1].long


def test_the_children_of_a_bracket_sell_what_their_parent_brought_in() -> None:
    bars = flat(24)
    bars.loc[bars.index[5], "high"] = 120.0
    s = play(bars, {0: lambda s: s.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=90, limitprice=110)}, rules=SPOT, settings=COSTS)
    assert [o.getstatusname() for o in s.orders] == ["Completed", "Canceled", "Completed"]
    assert [abs(o.size) for o in s.orders] == [1, 0.999, 0.999]
    assert held(s) == 0
    assert len(s.trades) == 1


def test_a_child_that_its_parents_fee_left_too_small_is_rejected_and_its_sibling_goes() -> None:
    bracket = lambda s: s.buy_bracket(size=0.0625, exectype=bt.Order.Market, stopprice=80, limitprice=110)  # noqa: E731
    s = play(flat(), {0: bracket}, rules=SPOT, settings=COSTS)
    assert [o.getstatusname() for o in s.orders] == ["Completed", "Rejected", "Canceled"]
    assert "filled too little" in s.orders[1].info.refusal
    assert s.position.size == pytest.approx(0.0625 * 0.999)


def test_an_oco_pair_sells_a_position_with_dust_once() -> None:
    def pair(s: Any) -> list[Any]:
        stop = s.sell(size=s.position.size, exectype=bt.Order.Stop, price=90)
        return [stop, s.sell(size=s.position.size, exectype=bt.Order.Limit, price=101, oco=stop)]

    s = play(flat(), {0: lambda s: s.buy(size=0.12345), 2: pair}, rules=SPOT, settings=COSTS)
    assert [o.getstatusname() for o in s.orders] == ["Completed", "Canceled", "Completed"]
    assert not s.position
    assert len(s.trades) == 1


def test_a_resting_stop_holds_its_units_while_the_position_has_become_dust() -> None:
    bars = falling((5, 45.0), (8, 30.0))
    bars.loc[bars.index[5:], "low"] = bars["close"].iloc[5:]
    stop = lambda s: s.sell(size=s.position.size, exectype=bt.Order.Stop, price=52)  # noqa: E731
    s = play(bars, {0: lambda s: s.buy(size=0.1), 2: stop, 9: lambda s: s.close()}, rules=SPOT, settings=COSTS)
    assert [None if o is None else o.getstatusname() for o in s.orders] == ["Completed", "Completed", None]
    assert held(s) == 0
    assert len(s.trades) == 1


def test_units_locked_by_a_resting_order_are_held_and_not_free() -> None:
    stop = lambda s: s.sell(size=s.position.size, exectype=bt.Order.Stop, price=60)  # noqa: E731
    s = run(
        {
            0: lambda s: s.buy(size=0.12345),
            2: stop,
            4: lambda s: s.close(),
            6: lambda s: s.cancel(s.orders[1]) or [],
            8: lambda s: s.close(),
        }
    )
    assert [o.getstatusname() for o in s.orders] == ["Completed", "Canceled", "Rejected", "Completed"]
    assert not s.position


def test_each_symbol_has_its_own_dust_and_the_value_of_several_is_that_of_their_positions() -> None:
    other = replace(ETH, fee_in_base=True)
    values: list[float] = []

    class Both(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                [self.buy(data, size=0.12345) for data in self.datas]
            elif len(self) == 4:
                self.close(self.datas[0])
            elif len(self) == 7:
                values.extend([self.broker.get_value(self.datas), self.broker.get_value()])

    s = build_cerebro([feed(flat(), rules=SPOT), feed(flat(), rules=other)], COSTS, strategy=Both).run()[0]
    btc, eth = s.datas
    assert [s.getposition(d).size > 0 for d in (btc, eth)] == [False, True]
    assert values == [pytest.approx(held(s, eth) * 100), pytest.approx(s.broker.getcash() + (held(s, btc) + held(s, eth)) * 100)]
    assert record_of(s).equity["equity"].iloc[-1] == values[1]
    assert [dust.symbol for dust in record_of(s).dust] == ["BTC/USDT"]


def test_the_sizer_buys_and_sells_again_beside_dust() -> None:
    s = run({0: lambda s: s.buy(size=0.12345), 2: lambda s: s.sell(), 4: lambda s: s.buy(), 6: lambda s: s.sell()})
    assert [o.status for o in s.orders] == [bt.Order.Completed] * 4
    assert not s.position
    assert len(s.trades) == 2


@pytest.mark.parametrize("price", [None, float("nan"), float("inf"), 0.0])
def test_without_a_price_only_the_units_count(price: float | None) -> None:
    assert is_dust(0.000009, price, BTC)
    assert not is_dust(0.00001, price, BTC)


def test_what_was_bought_can_be_sold_by_the_same_size_although_a_fee_took_part_of_it() -> None:
    """As strategies written for venues without such fees say it: `buy(size=...)`, later `sell(size=...)`."""
    s = run({2: lambda s: s.buy(size=0.1), 5: lambda s: s.sell(size=0.1), 8: lambda s: s.buy(size=0.2), 11: lambda s: s.sell(size=0.2)})
    assert [row["side"] for _, row in record_of(s).fills.iterrows()] == ["buy", "sell", "buy", "sell"]
    assert not s.position
    assert not s.broker.refused


@settings(max_examples=200, deadline=None)
@given(held=st.decimals("0.001", "10", places=5), extra=st.floats(0, 0.05))
def test_a_sale_is_cut_to_what_fees_left_and_refused_where_it_is_far_more(held: Decimal, extra: float) -> None:
    order = RawOrder(side=Side.SELL, size=float(held) * (1 + extra), reference=20_000.0)
    answer = normalise(order, SPOT, sellable=held)
    if isinstance(answer, OrderRequest):
        assert extra <= 0.01 + 1e-9
        assert answer.size == held
    else:
        assert extra > 0.01 - 1e-9
    assert isinstance(normalise(order, PERP, sellable=held), OrderRequest)
