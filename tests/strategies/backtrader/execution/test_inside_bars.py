"""Orders that rest go by the finer bars inside a bar: in the true order, where the bar alone leaves it open."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import backtrader as bt
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.settings import StrategySettings
from forwardtrader.core.types import MarketRules
from forwardtrader.strategies.backtrader.assembly import build_cerebro, record_of
from forwardtrader.strategies.detail.series import DetailSeries
from forwardtrader.strategies.orders.entries import POST_ONLY
from tests.strategies.backtrader.test_broker import FREE, Script
from tests.strategies.detail.market import detail_of, hourly, path
from tests.strategies.market import BTC, ETH, PERP, feed, knobs

CALM = [100.0] * 4
Steps = dict[int, Callable[[Any], Any]]


def play(
    fine: pd.DataFrame,
    steps: Steps,
    detail: DetailSeries | None = None,
    rules: MarketRules = PERP,
    chosen: StrategySettings = FREE,
    **options: Any,
) -> Any:
    """Run a script on the hours of finer bars, which go by all of these unless others are given."""
    made = replace(feed(hourly(fine), rules=rules), detail=detail_of(fine) if detail is None else detail)
    return build_cerebro([made], chosen, strategy=Script, strategy_params={"steps": steps}, **options).run()[0]


def fills(strategy: Any) -> list[tuple[str, float, float]]:
    """Side, size and price of each."""
    return [tuple(row) for row in record_of(strategy).fills[["side", "size", "price"]].to_numpy().tolist()]


def bracket(s: Any, stop: float = 97.0, limit: float = 103.0) -> Any:
    return s.buy_bracket(size=1, exectype=bt.Order.Market, stopprice=stop, limitprice=limit)


@pytest.mark.parametrize(("hour", "price"), [([98, 96, 104, 100], 97.0), ([102, 104, 96, 100], 103.0)], ids=["down first", "up first"])
def test_of_a_stop_and_a_target_in_one_bar_the_one_is_filled_that_the_price_came_to_first(hour: Sequence[float], price: float) -> None:
    assert fills(play(path(CALM, CALM, hour, CALM), {0: bracket})) == [("buy", 1.0, 100.0), ("sell", 1.0, price)]


def test_where_a_bar_has_no_finer_ones_it_is_met_as_a_whole() -> None:
    fine = path(CALM, CALM, [102, 104, 96, 100], CALM)
    whole = build_cerebro([feed(hourly(fine), rules=PERP)], FREE, strategy=Script, strategy_params={"steps": {0: bracket}}).run()[0]
    assert fills(play(fine, {0: bracket}, detail_of(fine, without=[2]))) == fills(whole) == [("buy", 1.0, 100.0), ("sell", 1.0, 97.0)]


def test_children_work_from_the_finer_bar_on_that_follows_the_fill_of_their_parent() -> None:
    def enter(s: Any) -> Any:
        return s.buy_bracket(size=1, price=99.0, stopprice=97.0, limitprice=101.0)

    # 96 comes before the entry at 99 and must not stop it out; 101 comes after it in the same hour
    assert fills(play(path(CALM, [102, 102, 102, 102], CALM), {0: enter})) == []
    assert fills(play(path(CALM, [104, 98, 102, 102], CALM), {0: enter})) == [("buy", 1.0, 99.0), ("sell", 1.0, 101.0)]
    assert fills(play(path(CALM, [104, 98, 96, 102], CALM), {0: enter})) == [("buy", 1.0, 99.0), ("sell", 1.0, 97.0)]


@pytest.mark.parametrize("leg", [bt.Order.Stop, bt.Order.StopLimit])
def test_of_an_oco_pair_one_is_filled(leg: int) -> None:
    def leave(s: Any) -> Any:
        stop = s.sell(size=1, exectype=leg, price=97.0, plimit=96.5)
        return [stop, s.sell(size=1, exectype=bt.Order.Limit, price=103.0, oco=stop)]

    s = play(path(CALM, CALM, [102, 104, 96, 100], CALM), {0: lambda s: s.buy(size=1), 1: leave})
    assert fills(s) == [("buy", 1.0, 100.0), ("sell", 1.0, 103.0)]
    assert s.position.size == 0


def test_a_trailing_stop_follows_the_price_inside_the_bar() -> None:
    def trail(s: Any) -> Any:
        return s.sell(size=1, exectype=bt.Order.StopTrail, trailamount=2.0)

    # up to 110 and down again within the hour: the whole bar, whose low is above 98, would not have moved the stop before its close
    s = play(path(CALM, CALM, [105, 110, 108.5, 107], CALM), {0: lambda s: s.buy(size=1), 1: trail})
    assert fills(s)[-1] == ("sell", 1.0, 108.0)


def test_a_stop_limit_is_triggered_before_it_is_filled() -> None:
    def leave(s: Any) -> Any:
        return s.sell(size=1, exectype=bt.Order.StopLimit, price=97.0, plimit=99.0)

    s = play(path(CALM, CALM, [99.5, 96, 96, 99.5], CALM), {0: lambda s: s.buy(size=1), 1: leave})
    assert fills(s)[-1] == ("sell", 1.0, 99.0)
    s = play(path(CALM, CALM, [99.5, 96, 96, 96], [96, 96, 96, 96]), {0: lambda s: s.buy(size=1), 1: leave})
    assert len(fills(s)) == 1


def test_what_is_in_the_book_is_filled_at_its_price_and_not_at_a_better_open() -> None:
    fine = path(CALM, [101, 101, 101, 101], CALM)
    fine.iloc[6, :4] = [98.0, 101.0, 98.0, 101.0]  # opens three below where the one before closed
    assert fills(play(fine, {0: lambda s: s.buy(size=1, exectype=bt.Order.Limit, price=99.0)})) == [("buy", 1.0, 99.0)]


def test_a_trailing_stop_limit_that_is_triggered_now_takes_what_the_market_gives() -> None:
    fine = path(CALM, CALM, [99, 99, 99, 99], CALM)
    fine.iloc[10, :4] = [97.5, 99.0, 97.5, 99.0]  # opens below the stop at 98 and its limit at 97: it takes there, at its limit or better

    def leave(s: Any) -> Any:
        booked = s.sell(size=0.5, exectype=bt.Order.Limit, price=105.0)
        return [booked, s.sell(size=0.5, exectype=bt.Order.StopTrailLimit, price=100.0, plimit=99.0, trailamount=2.0)]

    assert fills(play(fine, {0: lambda s: s.buy(size=1), 1: leave}))[-1] == ("sell", 0.5, 97.5)


def test_a_stop_that_the_price_jumps_over_is_filled_where_the_finer_bar_opens() -> None:
    fine = path(CALM, CALM, [99, 99, 99, 99], CALM)
    fine.iloc[10, :4] = [95.0, 99.0, 95.0, 99.0]
    s = play(fine, {0: lambda s: s.buy(size=1), 1: lambda s: s.sell(size=1, exectype=bt.Order.Stop, price=97.0)})
    assert fills(s)[-1] == ("sell", 1.0, 95.0)


def test_market_orders_are_filled_at_the_open_of_the_bar_even_where_its_first_finer_one_stands_still() -> None:
    fine = path(CALM, [100, 101, 102, 103], CALM)
    fine.iloc[4, 4] = 0.0
    s = play(fine, {0: lambda s: [s.buy(size=1), s.sell(size=1, exectype=bt.Order.Limit, price=102.5)]})
    assert fills(s) == [("buy", 1.0, 100.0), ("sell", 1.0, 102.5)]


def test_an_order_is_not_filled_after_the_moment_up_to_which_it_is_valid() -> None:
    def enter(s: Any, minutes: int) -> Any:
        return s.buy(size=1, exectype=bt.Order.Limit, price=98.0, valid=datetime.timedelta(minutes=minutes))

    fine = path(CALM, [100, 100, 97, 100], CALM)
    assert fills(play(fine, {0: lambda s: enter(s, 89)})) == []
    assert len(fills(play(fine, {0: lambda s: enter(s, 90)}))) == 1


def test_each_finer_bar_fills_its_own_share_of_the_volume() -> None:
    def enter(s: Any) -> Any:
        return s.buy(size=5, exectype=bt.Order.Limit, price=99.0, **{POST_ONLY: "market"})

    fine = path(CALM, [98, 98, 101, 98], CALM)
    fine["volume"] = [10.0] * 4 + [10.0, 20.0, 5.0, 5.0] + [0.0] * 4
    s = play(fine, {0: enter}, chosen=knobs(fee_bps=0, slippage_bps=0, volume_share=0.1), rules=BTC)
    assert [size for _, size, _ in fills(s)] == pytest.approx([1.0, 2.0, 0.5, 0.5])
    assert s.orders[0].executed.remsize == pytest.approx(1.0)


def test_a_post_only_order_arrives_at_the_open_of_the_bar() -> None:
    def enter(s: Any) -> Any:
        return s.buy(size=1, exectype=bt.Order.Limit, price=99.0, **{POST_ONLY: "market"})

    fine = path(CALM, [98, 97, 97, 97], CALM)
    fine.iloc[4, 0] = 98.5
    s = play(fine, {0: enter})
    assert (fills(s), s.orders[0].getstatusname()) == ([], "Rejected")


def test_an_order_on_close_takes_the_price_that_it_takes_without_finer_bars() -> None:
    fine = path(*([100 + hour, 101 + hour, 99 + hour, 100 + hour] for hour in range(30)))
    steps: Steps = {
        2: lambda s: s.buy(size=1, exectype=bt.Order.Close), 3: lambda s: s.sell(size=1, exectype=bt.Order.Stop, price=90.0),
        23: lambda s: s.buy(size=2, exectype=bt.Order.Limit, price=123.0),
    }  # fmt: skip
    whole = build_cerebro([feed(hourly(fine), rules=PERP)], FREE, strategy=Script, strategy_params={"steps": steps}).run()[0]
    assert fills(play(fine, steps)) == fills(whole) == [("buy", 1.0, 123.0), ("buy", 2.0, 123.0)]


@pytest.mark.parametrize("charges", ["shares", "by the contract"])
def test_a_commission_of_the_users_own_goes_by_finer_bars_too(charges: str) -> None:
    class Own(Script):
        def start(self) -> None:
            if charges != "shares":
                self.broker.setcommission(commission=0.5, commtype=bt.CommInfoBase.COMM_FIXED, stocklike=True)

    fine = path(CALM, CALM, [102, 104, 96, 100], CALM)
    made = replace(feed(hourly(fine), rules=PERP), detail=detail_of(fine))
    s = build_cerebro([made], FREE, strategy=Own, strategy_params={"steps": {0: bracket}}).run()[0]
    assert fills(s) == [("buy", 1.0, 100.0), ("sell", 1.0, 103.0)]
    assert s.broker.getvalue() == pytest.approx(10_003.0 - (0.0 if charges == "shares" else 1.0))


def test_symbols_of_one_account_are_met_as_time_passes() -> None:
    class Two(bt.Strategy):
        def next(self) -> None:
            if len(self) == 1:
                for data in self.datas:
                    self.buy(data=data, size=1, exectype=bt.Order.Limit, price=98.0)

    late, soon = path(CALM, [100, 100, 97, 100], CALM), path(CALM, [97, 100, 100, 100], CALM)
    feeds = [replace(feed(hourly(fine), rules=rules), detail=detail_of(fine)) for fine, rules in ((late, BTC), (soon, ETH))]
    record = record_of(build_cerebro(feeds, FREE, strategy=Two).run()[0])
    assert record.fills["symbol"].to_list() == ["ETH/USDT", "BTC/USDT"]


MOVES = st.lists(st.integers(-2, 2), min_size=24, max_size=24)


@settings(max_examples=60, deadline=None)
@given(moves=MOVES, stop=st.integers(1, 6), target=st.integers(1, 6), short=st.booleans())
def test_whatever_the_path_a_bracket_ends_where_the_price_first_came_to(moves: list[int], stop: int, target: int, short: bool) -> None:
    prices, side = [100.0], -1 if short else 1
    for move in moves:
        prices.append(prices[-1] + 0.5 * move)  # a finer bar reaches at most one of both exits, which are two apart at least
    hours = [CALM, *([float(p) for p in prices[1 + 6 * n : 7 + 6 * n]] for n in range(4))]
    fine = path([100.0] * 6, *hours[1:], [prices[-1]] * 6)

    def enter(s: Any) -> Any:
        give = s.sell_bracket if short else s.buy_bracket
        return give(size=1, exectype=bt.Order.Market, stopprice=100.0 - side * stop, limitprice=100.0 + side * target)

    s = play(fine, {0: enter})
    # the entry is filled at the open of the first hour; its children work from the next finer bar on
    left = next((side * (p - 100.0) for p in prices[1:] if not -stop < side * (p - 100.0) < target), None)
    gained = side * (prices[-1] - 100.0) if left is None else (target if left > 0 else -stop)
    assert s.broker.getvalue() == pytest.approx(10_000.0 + gained)
