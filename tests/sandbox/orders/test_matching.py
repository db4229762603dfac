"""Matching rules: fills over a bar, triggers, the walk through the book, slippage."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.types import Side
from forwardtrader.sandbox.orders.matching import (
    Level,
    at_open,
    crosses,
    is_triggered,
    over_bar,
    part_of_bar,
    slipped,
    triggers_upward,
    walk,
)
from forwardtrader.sandbox.orders.order import OrderType
from forwardtrader.strategies.orders.entries import part_filled
from tests.sandbox.orders.made_orders import candle, new_order
from tests.strategies.market import BTC

BUY, SELL = Side.BUY, Side.SELL
MARKET, LIMIT, STOP, STOP_LIMIT, TAKE = OrderType.MARKET, OrderType.LIMIT, OrderType.STOP, OrderType.STOP_LIMIT, OrderType.TAKE_PROFIT
BAR = candle(100, 105, 95, 102)
CASES: list[tuple[Any, float | None, bool]] = [
    ((MARKET, BUY), 100, False),
    ((LIMIT, BUY, 1, 101), 100, False),
    ((LIMIT, BUY, 1, 96), 96, False),
    ((LIMIT, BUY, 1, 94), None, False),
    ((LIMIT, SELL, 1, 105), 105, False),
    ((LIMIT, SELL, 1, 106), None, False),
    ((STOP, BUY, 1, None, 103), 103, True),
    ((STOP, BUY, 1, None, 99), 100, True),
    ((STOP, SELL, 1, None, 94), None, False),
    ((TAKE, SELL, 1, None, 104), 104, True),
    ((STOP_LIMIT, BUY, 1, 103.5, 103), 103, True),
    ((STOP_LIMIT, BUY, 1, 101, 103), None, True),  # the bar rises to its close: whether it came back below 101 is not certain
]


@pytest.mark.parametrize(("request_", "price", "triggered"), CASES, ids=str)
def test_a_bar_fills_at_its_open_or_at_the_price_it_reaches(request_: Any, price: float | None, triggered: bool) -> None:
    outcome = over_bar(new_order(*request_), False, BAR)
    assert (None if outcome.price is None else float(outcome.price), outcome.triggered) == (price, triggered)


def test_a_triggered_stop_limit_is_a_limit_order() -> None:
    request = new_order(STOP_LIMIT, BUY, 1, 96, 110)
    assert over_bar(request, True, BAR).price == 96
    assert over_bar(request, False, BAR).price is None


def test_at_the_open_only_what_the_open_allows_is_filled() -> None:
    assert at_open(new_order(LIMIT, BUY, 1, 99), False, Decimal(100)).price is None
    assert at_open(new_order(LIMIT, BUY, 1, 100), False, Decimal(100)).price == 100
    assert at_open(new_order(STOP, SELL, 1, None, 100), False, Decimal(100)).price == 100


def test_a_buy_stop_and_a_take_profit_sale_trigger_upward() -> None:
    assert triggers_upward(new_order(STOP, BUY, 1, None, 1)) and triggers_upward(new_order(TAKE, SELL, 1, None, 1))
    assert not triggers_upward(new_order(STOP, SELL, 1, None, 1)) and not triggers_upward(new_order(TAKE, BUY, 1, None, 1))


@pytest.mark.parametrize(("last", "triggered"), [(99.99, False), (100, True), (101, True)])
def test_a_trigger_counts_as_passed_once_it_is_reached(last: float, triggered: bool) -> None:
    assert is_triggered(new_order(STOP, BUY, 1, None, 100), Decimal(str(last))) is triggered
    assert not is_triggered(new_order(LIMIT, BUY, 1, 100), Decimal(str(last)))


def test_a_limit_allows_its_own_price_and_better_ones() -> None:
    buy, sale = new_order(LIMIT, BUY, 1, 100), new_order(LIMIT, SELL, 1, 100)
    assert [crosses(buy, Decimal(price)) for price in (99, 100, 101)] == [True, True, False]
    assert [crosses(sale, Decimal(price)) for price in (99, 100, 101)] == [False, True, True]


def test_a_taker_walks_the_levels_up_to_its_size_or_limit() -> None:
    levels = [Level(Decimal(100), Decimal(1)), Level(Decimal(101), Decimal(0)), Level(Decimal(102), Decimal(3))]
    market, limit = new_order(MARKET, BUY), new_order(LIMIT, BUY, 1, 101)
    assert walk(levels, market, Decimal(2)) == [Level(Decimal(100), Decimal(1)), Level(Decimal(102), Decimal(1))]
    assert walk(levels, limit, Decimal(2)) == [Level(Decimal(100), Decimal(1))]


def test_slippage_worsens_a_price_but_never_passes_a_limit() -> None:
    bps = Decimal(100)
    assert slipped(new_order(MARKET, BUY), Decimal(100), BAR, bps) == 101
    assert slipped(new_order(MARKET, SELL), Decimal(100), BAR, bps) == 99
    assert slipped(new_order(LIMIT, BUY, 1, 100.5), Decimal(100), BAR, bps) == Decimal("100.5")
    assert slipped(new_order(LIMIT, BUY, 1, 100), Decimal(100), BAR, bps) == 100


@given(
    side=st.sampled_from([BUY, SELL]), beyond=st.integers(-3, 3), remaining=st.integers(1, 5000), volume=st.integers(0, 200_000),
    share=st.sampled_from(["0.001", "0.1", "1"]),
)  # fmt: skip
def test_a_queue_is_served_as_in_a_backtest(side: Side, beyond: int, remaining: int, volume: int, share: str) -> None:
    """By an independent rule of the same words: a tick beyond the limit, on the grid, up to a share of the volume."""
    limit, left, traded = Decimal(100), Decimal(remaining) * BTC.step, Decimal(volume) * BTC.step
    away = beyond * BTC.tick
    low, high = (limit - away, limit + 10) if side is BUY else (limit - 10, limit + away)
    bar = replace(candle(100, 105, 95, 102), low=low, high=high, volume=traded)
    request = new_order(OrderType.LIMIT_MAKER, side, 1, 100)
    here = part_of_bar(request, left, bar, BTC.tick, BTC.step, Decimal(share))
    worst = low if side is BUY else high
    there = part_filled(100.0, float(left), float(worst), float(traded) * float(share), BTC, buys=side is BUY)
    assert float(here) == there
