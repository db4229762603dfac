"""Results of closed trades add up to what the account gained, whatever the fills."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.strategies.trading_state.round_trips import RoundTrip, TripFill, book

FILLS = st.lists(st.tuples(st.integers(-5, 5).filter(bool), st.integers(50, 150), st.integers(0, 3)), min_size=1, max_size=20)


def test_a_trade_that_loses_its_fees_only_is_a_loss() -> None:
    trip, nothing = book(RoundTrip(), TripFill(1.0, 100.0, 0.1), is_flat=False)
    assert nothing is None
    trip, result = book(trip, TripFill(-1.0, 100.0, 0.1), is_flat=True)
    assert result == pytest.approx(-0.2)
    assert trip == RoundTrip()


def test_what_is_too_little_to_be_sold_is_carried_over_at_the_price_of_the_sale() -> None:
    trip, _ = book(RoundTrip(), TripFill(1.0, 100.0), is_flat=False)
    trip, result = book(trip, TripFill(-0.9, 110.0), is_flat=True)
    assert result == pytest.approx(10.0)  # the tenth that stays is worth 110 a unit, too
    assert trip.units == pytest.approx(0.1)
    assert trip.brought == pytest.approx(-11.0)


@given(FILLS)
def test_results_and_what_is_open_add_up_to_what_was_gained(fills: list[tuple[int, int, int]]) -> None:
    trip, results, cash, held = RoundTrip(), 0.0, 0.0, 0.0
    for size, price, fee in fills:
        held += size
        cash -= size * price + fee
        trip, result = book(trip, TripFill(size, price, fee), is_flat=held == 0)
        results += result or 0.0
        assert trip.units == pytest.approx(held)
        assert results + trip.brought == pytest.approx(cash)
