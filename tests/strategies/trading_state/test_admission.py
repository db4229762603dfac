"""Orders under limits: whatever of them is executed, in whatever order, exposure never grows while reducing."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.settings import RiskSettings
from forwardtrader.strategies.trading_state.admission import (
    AccountBook,
    Book,
    RestingOrder,
    lowers,
    stopped_by,
    too_exposed,
    too_frequent,
    too_much,
)
from forwardtrader.strategies.trading_state.limits import OnBreach, TradingLimits

ORDERS = st.lists(
    st.builds(RestingOrder, size=st.integers(-6, 6).filter(bool).map(float), group=st.integers(0, 5), protects=st.booleans()), max_size=7
)
HELD = st.integers(-6, 6).map(float)


def executed(book: Book, orders: list[RestingOrder], seed: int) -> list[float]:
    """Positions as orders are executed in a random order, wholly or in part; one of a group only."""
    draw, held, path, done = random.Random(seed), book.held, [book.held], set()
    for order in draw.sample(orders, len(orders)):
        if order.group not in done:
            done.add(order.group)
            held += order.size * draw.choice([0.0, 0.5, 1.0])
            path.append(held)
    return path


def never_grows(path: list[float]) -> bool:
    """Each position is no larger than the one before and on the same side."""
    return all(abs(after) <= abs(before) + 1e-9 and before * after >= 0.0 for before, after in itertools.pairwise(path))


@given(HELD, ORDERS, st.integers(0, 1000))
def test_what_stays_while_reducing_never_adds_exposure(held: float, orders: list[RestingOrder], seed: int) -> None:
    book = Book(held=held, price=100.0, resting=orders, can_short=True)
    gone = set(too_much(book))
    kept = [order for place, order in enumerate(orders) if place not in gone]
    assert never_grows(executed(book, kept, seed))


@given(HELD, ORDERS, ORDERS, st.sampled_from(OnBreach), st.integers(0, 1000))
def test_what_is_admitted_while_reducing_never_adds_exposure(
    held: float, resting: list[RestingOrder], wanted: list[RestingOrder], action: OnBreach, seed: int
) -> None:
    gone = set(too_much(Book(held=held, price=100.0, resting=resting)))
    alive = [order for place, order in enumerate(resting) if place not in gone]
    for order in wanted:
        if not stopped_by(action, Book(held=held, price=100.0, resting=alive), order):
            alive.append(order)
    assert never_grows(executed(Book(held=held, price=100.0), alive, seed))


@given(HELD, ORDERS, ORDERS)
def test_a_graver_state_lets_no_more_through(held: float, resting: list[RestingOrder], wanted: list[RestingOrder]) -> None:
    book = Book(held=held, price=100.0, resting=resting)
    for order in wanted:
        passes = [not stopped_by(action, book, order) for action in (OnBreach.FLATTEN, OnBreach.HALT, OnBreach.REDUCE)]
        assert passes == sorted(passes)


def test_a_halt_keeps_protective_stops_and_lets_new_ones_through() -> None:
    book = Book(held=2.0, price=100.0, resting=[RestingOrder(size=-1.0, group="a", protects=True), RestingOrder(size=1.0, group="b")])
    assert too_much(book) == [1]
    assert stopped_by(OnBreach.HALT, book, RestingOrder(size=-1.0, group="c", protects=True)) == ""
    assert stopped_by(OnBreach.HALT, book, RestingOrder(size=-1.0, group="c")) == "halted"
    assert stopped_by(OnBreach.REDUCE, book, RestingOrder(size=-1.0, group="c")) == ""
    assert stopped_by(OnBreach.REDUCE, book, RestingOrder(size=-1.5, group="c")) == "reduce only"  # with the stop it would go short


def test_a_stop_and_a_limit_of_one_pair_close_a_position_once() -> None:
    pair = [RestingOrder(size=-1.0, group="pair", protects=True), RestingOrder(size=-1.0, group="pair")]
    assert too_much(Book(held=1.0, price=100.0, resting=pair)) == []


def test_exits_are_never_too_exposed() -> None:
    limits = TradingLimits.of(RiskSettings(max_gross_exposure=0.1))
    assert limits is not None
    account = AccountBook(equity=100.0, symbols={"a": Book(held=5.0, price=100.0)})
    assert too_exposed(account, "a", RestingOrder(size=-5.0, group=1), limits) == ""
    assert "max_gross_exposure (0.1)" in too_exposed(account, "a", RestingOrder(size=0.1, group=1), limits)


@pytest.mark.parametrize(("size", "words"), [(1.0, ""), (2.2, "max_gross_exposure"), (2.6, "max_symbol_exposure")])
def test_resting_entries_and_all_symbols_count_as_exposure(size: float, words: str) -> None:
    limits = TradingLimits.of(RiskSettings(max_gross_exposure=0.5, max_symbol_exposure=0.35))
    assert limits is not None
    account = AccountBook(
        equity=1000.0,
        symbols={"a": Book(held=1.0, price=100.0), "b": Book(held=0.0, price=100.0, resting=[RestingOrder(size=2.0, group=1)])},
    )
    assert words in too_exposed(account, "a", RestingOrder(size=size, group=2), limits)
    assert bool(too_exposed(account, "a", RestingOrder(size=size, group=2), limits)) == bool(words)


def test_an_account_that_owns_nothing_takes_no_exposure() -> None:
    limits = TradingLimits.of(RiskSettings(max_gross_exposure=5.0))
    assert limits is not None
    account = AccountBook(equity=0.0, symbols={"a": Book(held=0.0, price=100.0)})
    assert too_exposed(account, "a", RestingOrder(size=1.0, group=1), limits)


def test_orders_are_counted_by_bar_and_by_hour_and_exits_may_be_twice_as_many() -> None:
    limits = TradingLimits.of(RiskSettings(max_orders_per_bar=1, max_orders_per_hour=2))
    assert limits is not None
    assert too_frequent(3600.0, [], limits, lowering=False) == ""
    assert "in a bar" in too_frequent(3600.0, [3600.0], limits, lowering=False)
    assert too_frequent(3600.0, [3600.0], limits, lowering=True) == ""
    assert "in an hour" in too_frequent(3600.0, [60.0, 120.0], limits, lowering=False)
    assert too_frequent(3720.0, [60.0, 120.0], limits, lowering=False) == ""


def test_an_order_larger_than_the_position_does_not_only_lower_it() -> None:
    assert lowers(Book(held=1.0, price=1.0), RestingOrder(size=-1.0, group=1))
    assert not lowers(Book(held=1.0, price=1.0), RestingOrder(size=-1.1, group=1))
    assert not lowers(Book(held=0.0, price=1.0), RestingOrder(size=-1.0, group=1))
