from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forwardtrader.reports.artefacts import FILL_COLUMNS, empty_fills
from forwardtrader.reports.statistics.round_trips import fees_in_quote, notional, round_trips


def table(*rows: tuple[str, float, float, float, str], symbol: str = "BTC/USDT") -> pd.DataFrame:
    times = pd.date_range("2022-01-01", periods=len(rows), freq="h", tz="UTC")
    legs = zip(times, rows, strict=True)
    full = [(t, symbol, side, size, price, fee, money, "o", "") for t, (side, size, price, fee, money) in legs]
    return pd.DataFrame(full, columns=FILL_COLUMNS)


def test_a_buy_and_a_sale_make_one_round_trip_net_of_fees() -> None:
    (trip,) = round_trips(table(("buy", 2.0, 100.0, 0.2, "USDT"), ("sell", 2.0, 110.0, 0.3, "USDT")))
    assert (trip.side, trip.size, trip.entry, trip.exit) == ("long", 2.0, 100.0, 110.0)
    assert trip.profit == pytest.approx(20.0 - 0.5)
    assert trip.gain == pytest.approx(19.5 / 200)
    assert trip.closed - trip.opened == pd.Timedelta(hours=1)


def test_two_buys_and_one_sale_have_the_average_entry() -> None:
    (trip,) = round_trips(table(("buy", 1.0, 100.0, 0, "USDT"), ("buy", 1.0, 120.0, 0, "USDT"), ("sell", 2.0, 130.0, 0, "USDT")))
    assert (trip.entry, trip.size) == (110.0, 2.0)


def test_a_position_still_open_is_no_round_trip() -> None:
    assert round_trips(table(("buy", 1.0, 100.0, 0, "USDT"), ("sell", 0.5, 120.0, 0, "USDT"))) == []


def test_a_fill_that_turns_the_position_round_closes_one_trip_and_opens_the_next() -> None:
    first, second = round_trips(table(("buy", 1.0, 100.0, 0, "USDT"), ("sell", 3.0, 110.0, 0.3, "USDT"), ("buy", 2.0, 100.0, 0, "USDT")))
    assert (first.side, second.side) == ("long", "short")
    assert first.profit == pytest.approx(10.0 - 0.1)
    assert second.profit == pytest.approx(20.0 - 0.2)


def test_dust_left_by_a_fee_in_base_does_not_keep_a_trip_open() -> None:
    (trip,) = round_trips(table(("buy", 1.0, 100.0, 0.001, "BTC"), ("sell", 0.999, 100.0, 0.0999, "USDT")))
    assert trip.profit == pytest.approx(-0.1 - 0.0999, abs=1e-9)


def test_a_fee_in_base_is_valued_at_its_own_fill() -> None:
    assert fees_in_quote(table(("buy", 1.0, 100.0, 0.001, "BTC"), ("sell", 1.0, 90.0, 0.09, "USDT"))).tolist() == pytest.approx([0.1, 0.09])


def test_no_fills_are_no_trips() -> None:
    assert round_trips(empty_fills()) == []
    assert notional(empty_fills()) == 0.0


@given(st.lists(st.tuples(st.floats(0.1, 10), st.floats(1, 1000), st.floats(1, 1000)), min_size=1, max_size=20))
def test_profits_of_closed_trips_add_up_to_the_cash_that_moved(trades: list[tuple[float, float, float]]) -> None:
    rows = [leg for size, buy, sell in trades for leg in (("buy", size, buy, 0.1, "USDT"), ("sell", size, sell, 0.1, "USDT"))]
    moved = sum(size * (sell - buy) - 0.2 for size, buy, sell in trades)
    assert sum(trip.profit for trip in round_trips(table(*rows))) == pytest.approx(moved, abs=1e-6)


def test_small_positions_are_closed_by_what_cannot_be_sold_and_not_by_a_share_of_them() -> None:
    """A stake of fifty lots, whose fee in the coin leaves less than a lot each time, until what was left is one more lot to sell."""
    sold = (0.00049, 0.0005, 0.0005)  # what the trip before left is sold with the next
    legs = [leg for size in sold for leg in (("buy", 0.0005, 100.0, 0.0000005, "BTC"), ("sell", size, 110.0, 0.0, "USDT"))]
    trips = round_trips(table(*legs))
    assert [(trip.side, trip.size) for trip in trips] == [("long", 0.0005)] * 3
    left = 3 * (0.0005 - 0.0000005) - sum(sold)
    moved = 110.0 * sum(sold) - 100.0 * 3 * 0.0005
    assert sum(trip.profit for trip in trips) == pytest.approx(moved + left * 110.0)


def test_a_position_cut_to_a_small_part_is_still_the_same_trip() -> None:
    legs = [("buy", 1.0, 100.0, 0.0, "USDT"), ("sell", 0.997, 101.0, 0.0, "USDT"), ("sell", 0.003, 102.0, 0.0, "USDT")]
    (trip,) = round_trips(table(*legs, *legs)[:3])
    assert (trip.side, trip.closed) == ("long", pd.Timestamp("2022-01-01 02:00", tz="UTC"))
    assert [trip.side for trip in round_trips(table(*legs, *legs))] == ["long", "long"]


@given(st.lists(st.tuples(st.integers(2, 5000), st.booleans()), min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
@example([(548, False), (1452, False), (2, False)])  # what is left of the second trip is zero but for the last bits of a float
def test_buys_closed_with_a_fee_in_the_coin_are_as_many_trips_as_there_were_closes(trades: list[tuple[int, bool]]) -> None:
    lot, held, legs = 0.00001, 0.0, []
    for lots, twice in trades:
        for _ in range(1 + twice):
            legs.append(("buy", round(lots * lot, 5), 20_000.0, lots * lot * 0.001, "BTC"))
            held += lots * lot * 0.999
        sold = round(int(held / lot + 1e-6) * lot, 5)
        legs.append(("sell", sold, 20_100.0, sold * 20.1, "USDT"))
        held -= sold
    trips = round_trips(table(*legs))
    assert len(trips) == len(trades)
    assert {trip.side for trip in trips} == {"long"}
    spent = sum(size * price if side == "buy" else fee - size * price for side, size, price, fee, _ in legs)
    assert sum(trip.profit for trip in trips) == pytest.approx(held * 20_100.0 - spent, abs=1e-6)


def test_a_strategy_that_sells_the_size_it_bought_has_as_many_trips_as_sales_whatever_dust_fees_in_the_coin_leave() -> None:
    legs = [("buy", 0.06544, 100.0, 0.00006544, "BTC"), ("sell", 0.06537, 101.0, 0.0, "USDT")] * 40
    trips = round_trips(table(*legs))
    assert len(trips) == 40 and {trip.side for trip in trips} == {"long"}
    cash = 40 * (0.06537 * 101.0 - 0.06544 * 100.0)
    dust = 40 * (0.06544 - 0.00006544 - 0.06537)
    assert sum(trip.profit for trip in trips) == pytest.approx(cash + dust * 101.0)
    (*_, sold) = round_trips(table(*legs, ("sell", 0.00018, 110.0, 0.0, "USDT")))
    assert (sold.side, len(trips) + 1) == ("long", len(round_trips(table(*legs, ("sell", 0.00018, 110.0, 0.0, "USDT")))))
    assert sold.profit == pytest.approx(dust * (110.0 - 101.0))
