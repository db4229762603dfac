"""The one function that puts orders on the venue's grid."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.core.types import MarketRules, OrderRequest, Side
from forwardtrader.strategies.order_rules import (
    OrderRefusal,
    RawOrder,
    RestingSell,
    adds_exposure,
    decimal,
    enlarges,
    is_dust,
    normalise,
    sellable,
)
from tests.strategies.market import BTC, PERP

GRIDS = st.sampled_from([Decimal("1"), Decimal("0.1"), Decimal("0.001"), Decimal("0.00001"), Decimal("0.5"), Decimal("0.25"), Decimal("0")])


@st.composite
def rules(draw: st.DrawFn) -> MarketRules:
    return replace(
        BTC,
        tick=draw(GRIDS),
        step=draw(GRIDS),
        min_size=draw(st.sampled_from([Decimal(0), Decimal("0.001"), Decimal(1)])),
        min_notional=draw(st.sampled_from([Decimal(0), Decimal(5), Decimal(10)])),
        max_market_size=draw(st.sampled_from([None, Decimal("0.5"), Decimal(100)])),
        can_short=draw(st.booleans()),
    )


sizes = st.floats(min_value=-1, max_value=1e6, allow_nan=False)
prices = st.floats(min_value=1e-3, max_value=1e6)


@settings(max_examples=300)
@given(rules(), st.sampled_from(Side), sizes, prices, st.one_of(st.none(), prices), st.one_of(st.none(), prices), sizes)
def test_an_accepted_order_breaks_no_rule_of_the_venue(market, side, size, reference, limit, stop, held) -> None:  # type: ignore[no-untyped-def]
    answer = normalise(
        RawOrder(side=side, size=size, reference=reference, limit_price=limit, stop_price=stop), market, sellable=max(0.0, held)
    )
    if isinstance(answer, OrderRefusal):
        return
    assert 0 < answer.size <= decimal(size)
    assert answer.size >= market.min_size
    assert not market.step or answer.size % market.step == 0
    for price in (answer.limit_price, answer.stop_price):
        assert price is None or not market.tick or price % market.tick == 0
    assert answer.size * (answer.limit_price or answer.stop_price or decimal(reference)) >= market.min_notional
    assert answer.limit_price is not None or market.max_market_size is None or answer.size <= market.max_market_size
    assert market.can_short or side is Side.BUY or answer.size <= decimal(max(0.0, held))


@given(rules(), st.sampled_from(Side), sizes, prices, st.one_of(st.none(), prices))
def test_normalising_twice_changes_nothing(market, side, size, reference, limit) -> None:  # type: ignore[no-untyped-def]
    first = normalise(RawOrder(side=side, size=size, reference=reference, limit_price=limit), market, sellable=1e6)
    if isinstance(first, OrderRequest):
        again = normalise(RawOrder(side=side, size=first.size, reference=reference, limit_price=first.limit_price), market, sellable=1e6)
        assert again == first


@given(st.sampled_from(Side), prices, prices)
def test_prices_are_rounded_to_the_side_that_is_no_worse_than_asked(side: Side, limit: float, stop: float) -> None:
    answer = normalise(
        RawOrder(side=side, size=1000, reference=1, limit_price=limit, stop_price=stop),
        replace(BTC, min_notional=Decimal(0)),
        sellable=1000,
    )
    if isinstance(answer, OrderRefusal):  # rounded down to nothing
        assert min(limit, stop) < 0.01
        return
    assert answer.limit_price is not None and answer.stop_price is not None
    if side is Side.BUY:
        assert answer.limit_price <= decimal(limit) and answer.stop_price <= decimal(stop)
    else:
        assert answer.limit_price >= decimal(limit) and answer.stop_price >= decimal(stop)


@pytest.mark.parametrize(
    ("order", "sellable", "words"),
    [
        (RawOrder(side=Side.BUY, size=0, reference=100), 0, "not above zero"),
        (RawOrder(side=Side.BUY, size=float("nan"), reference=100), 0, "not above zero"),
        (RawOrder(side=Side.BUY, size=0.000001, reference=1e9), 0, "smallest of 0.00001"),
        (RawOrder(side=Side.BUY, size=0.04, reference=100), 0, "notional 4.0"),
        (RawOrder(side=Side.BUY, size=1, reference=float("nan")), 0, "not above zero"),
        (RawOrder(side=Side.BUY, size=1, reference=100, limit_price=0.004), 0, "not above zero"),
        (RawOrder(side=Side.BUY, size=1, reference=100, stop_price=float("inf")), 0, "not above zero"),
        (RawOrder(side=Side.SELL, size=1, reference=100), 0, "sold short"),
        (RawOrder(side=Side.SELL, size=1, reference=100), 0.99999, "more than the 0.99999"),
    ],
)
def test_a_refusal_says_why(order: RawOrder, sellable: float, words: str) -> None:
    answer = normalise(order, BTC, sellable=sellable)
    assert isinstance(answer, OrderRefusal)
    assert words in answer.reason


def test_what_is_held_can_be_sold_whole_though_it_is_a_float_sum() -> None:
    answer = normalise(RawOrder(side=Side.SELL, size=0.1 + 0.2, reference=100), BTC, sellable=0.1 + 0.2)
    assert isinstance(answer, OrderRequest)
    assert answer.size == Decimal("0.30000")


def test_a_float_just_below_a_step_counts_as_that_step() -> None:
    answer = normalise(RawOrder(side=Side.SELL, size=0.43171999999999994, reference=100), BTC, sellable=0.43171999999999994)
    assert isinstance(answer, OrderRequest)
    assert answer.size == Decimal("0.43172")


def test_a_short_sale_passes_where_the_market_allows_it() -> None:
    answer = normalise(RawOrder(side=Side.SELL, size=1, reference=100), PERP, sellable=0)
    assert isinstance(answer, OrderRequest)


def test_a_market_order_is_cut_to_the_largest_size_and_a_limit_order_is_not() -> None:
    market = replace(BTC, max_market_size=Decimal("0.3"))
    cut = normalise(RawOrder(side=Side.BUY, size=1, reference=100), market, sellable=0)
    whole = normalise(RawOrder(side=Side.BUY, size=1, reference=100, limit_price=99), market, sellable=0)
    assert isinstance(cut, OrderRequest) and cut.size == Decimal("0.3")
    assert isinstance(whole, OrderRequest) and whole.size == 1


@pytest.mark.parametrize(("size", "dust"), [(0.0, True), (0.000009, True), (0.00004, True), (0.0000501, False), (-1.0, False)])
def test_a_holding_too_small_to_sell_is_dust(size: float, dust: bool) -> None:
    assert is_dust(size, 100_000, BTC) is dust


units = st.integers(min_value=0, max_value=1000).map(float)
resting_sells = st.lists(st.builds(RestingSell, remaining=units, group=st.sampled_from("abc")))


def test_an_oco_pair_locks_its_coins_once() -> None:
    pair = [RestingSell(1.0, "pair"), RestingSell(1.0, "pair")]
    assert sellable(2.0, pair) == 1.0
    assert sellable(2.0, pair, group="pair") == 2.0
    assert sellable(2.0, [RestingSell(1.0, "one"), RestingSell(1.0, "other")]) == 0.0


def test_a_child_may_sell_what_its_parent_will_buy() -> None:
    assert sellable(0.5, [], group="bracket", incoming=1.0) == 1.5


@given(units, units, resting_sells, st.sampled_from([None, "a"]), st.randoms())
def test_free_coins_follow_from_groups_whatever_the_order_of_orders(held, incoming, resting, group, random) -> None:  # type: ignore[no-untyped-def]
    free = sellable(held, resting, group=group, incoming=incoming)
    others = {order.group for order in resting} - {group}
    assert held + incoming - free == sum(max(o.remaining for o in resting if o.group == g) for g in others)
    random.shuffle(resting)
    assert sellable(held, resting, group=group, incoming=incoming) == free


@given(units, resting_sells, st.builds(RestingSell, remaining=units, group=st.sampled_from("abcd")))
def test_one_more_order_never_frees_coins_and_locks_at_most_its_own(held, resting, more) -> None:  # type: ignore[no-untyped-def]
    before, after = sellable(held, resting), sellable(held, [*resting, more])
    assert before - more.remaining <= after <= before


@pytest.mark.parametrize(
    ("position", "side", "size", "adds"),
    [
        (0, Side.BUY, 1, True),
        (0, Side.SELL, 1, True),
        (2, Side.BUY, 1, True),
        (2, Side.SELL, 1, False),
        (2, Side.SELL, 2, False),
        (2, Side.SELL, 3, True),
        (-2, Side.SELL, 1, True),
        (-2, Side.BUY, 1, False),
        (-2, Side.BUY, 2, False),
        (-2, Side.BUY, 3, True),
    ],
)
def test_an_order_adds_exposure_where_it_opens_enlarges_or_turns_a_position(position: int, side: Side, size: int, adds: bool) -> None:
    assert adds_exposure(position, side, size) is adds


@given(st.floats(-1e6, 1e6), st.sampled_from(Side), st.floats(1e-6, 1e6))
def test_long_and_short_are_mirror_images(position: float, side: Side, size: float) -> None:
    other = Side.SELL if side is Side.BUY else Side.BUY
    assert adds_exposure(position, side, size) is adds_exposure(-position, other, size)


def test_a_float_sum_that_closes_a_position_adds_nothing() -> None:
    assert not adds_exposure(0.1 + 0.2, Side.SELL, 0.3)
    assert not enlarges(0.5, 0.5)
