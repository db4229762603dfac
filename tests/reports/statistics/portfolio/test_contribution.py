"""Contributions of symbols and sides: together they are the profit of the account."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forwardtrader.reports.statistics.portfolio.contribution import contributions

SIZES = st.floats(0.1, 5.0)


def fills(rows: list[tuple[str, str, float, float, float, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["symbol", "side", "size", "price", "fee", "fee_currency"])
    return frame.assign(timestamp=pd.date_range("2022-01-01", periods=len(frame), freq="1h", tz="UTC"))


def test_long_and_short_are_told_apart_also_where_one_fill_turns_the_position() -> None:
    rows = [("A/USD", "buy", 2.0, 10.0, 1.0, "USD"), ("A/USD", "sell", 3.0, 12.0, 3.0, "USD"), ("A/USD", "buy", 1.0, 9.0, 1.0, "USD")]
    [own] = contributions(fills(rows), {"A/USD": 50.0})
    assert own.long == pytest.approx(2 * 2 - 1 - 2), "the turning fill's fee is shared 2 to 1"
    assert own.short == pytest.approx(12 - 9 - 1 - 1)
    assert (own.fees, own.traded, own.fills) == (5.0, 65.0, 3)


def test_an_open_position_is_valued_at_the_last_price_and_the_best_comes_first() -> None:
    rows = [("A/USD", "buy", 1.0, 10.0, 0.0, "USD"), ("B/USD", "sell", 1.0, 10.0, 0.0, "USD")]
    both = contributions(fills(rows), {"A/USD": 9.0, "B/USD": 4.0})
    assert [(each.symbol, each.long, each.short) for each in both] == [("B/USD", 0.0, 6.0), ("A/USD", -1.0, 0.0)]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["buy", "sell"]), SIZES, st.floats(1.0, 100.0), st.floats(0.0, 0.1)), min_size=1, max_size=20))
def test_they_add_up_to_what_cash_and_coins_are_worth(trades: list[tuple[str, float, float, float]]) -> None:
    rows = [("A/USD", side, size, price, size * share if side == "buy" else size * price * share, "A" if side == "buy" else "USD")
            for side, size, price, share in trades]  # fmt: skip
    cash = coins = 0.0
    for _, side, size, price, fee, currency in rows:
        sign = 1.0 if side == "buy" else -1.0
        cash -= sign * size * price + (fee if currency == "USD" else 0.0)
        coins += sign * size - (fee if currency == "A" else 0.0)
    [own] = contributions(fills(rows), {"A/USD": 20.0})
    assert own.profit == pytest.approx(cash + coins * 20.0, abs=1e-6)
