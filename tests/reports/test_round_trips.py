from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.artefacts import FILL_COLUMNS, empty_fills
from reports.round_trips import fees_in_quote, notional, round_trips


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
