"""What trading cost: the parts by hand, that they add up, and a session on the book of the practice exchange."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forwardtrader.core.clock import SystemClock
from forwardtrader.live.parity.command import compare
from forwardtrader.live.parity.shortfall import Sent, cost_of, totals
from tests.live.session_runner import SYMBOLS, Momentum, request_for, run

BUY = Sent(
    at=0, symbol="BTC/USDT", side="buy", ordered=2.0, filled=1.5, paid=100.5, decision=100.0, own_price=None, arrival=100.2, quoted=0.1,
    takes=True, later=103.0, fees=0.15,
)  # fmt: skip
PRICE = st.floats(1.0, 1e5)


def test_the_parts_of_a_purchase_are_those_of_the_book() -> None:
    cost = cost_of(BUY)
    assert cost.delay == pytest.approx(0.2 * 1.5)
    assert cost.spread == pytest.approx(0.1 * 1.5)
    assert cost.impact == pytest.approx(0.2 * 1.5)
    assert cost.opportunity == pytest.approx(3.0 * 0.5)
    assert cost.total == pytest.approx(0.5 * 1.5 + 0.15 + 1.5)


def test_a_sale_that_was_filled_better_than_decided_is_a_gain() -> None:
    sale = replace(BUY, side="sell", ordered=1.0, filled=1.0, paid=101.0, fees=0.0)
    assert cost_of(sale).total == pytest.approx(-1.0)


def test_an_order_with_a_price_of_its_own_is_measured_from_that_price() -> None:
    stop = replace(BUY, side="sell", own_price=95.0, arrival=100.0, ordered=1.0, filled=1.0, paid=94.0, fees=0.0)
    assert (cost_of(stop).delay, cost_of(stop).total) == (0.0, pytest.approx(1.0))
    limit = replace(BUY, own_price=99.0, takes=False, ordered=1.0, filled=1.0, paid=99.0, fees=0.0)
    assert cost_of(limit).total == 0.0


@given(PRICE, PRICE, PRICE, PRICE, st.floats(0.0, 1.0), st.sampled_from(["buy", "sell"]))
def test_paper_less_cost_is_what_came_of_it(paid: float, decision: float, arrival: float, later: float, share: float, side: str) -> None:
    order = replace(BUY, side=side, ordered=1.0, filled=share, paid=paid, decision=decision, arrival=arrival, later=later)
    sign = 1 if side == "buy" else -1
    paper = sign * (later - decision)
    real = sign * (later - paid) * share - order.fees
    assert cost_of(order).total == pytest.approx(paper - real, abs=1e-6)


def test_totals_are_sums() -> None:
    told = totals([cost_of(BUY), cost_of(BUY)])
    assert told["total"] == pytest.approx(2 * cost_of(BUY).total)
    assert told["value"] == 400.0


def test_a_session_filled_from_a_book_says_what_it_cost(tmp_path: Path) -> None:
    flags = ("--live", "--yes-real-money", "--yes-real-money", "--set", "live.practice_fills=book")
    assert run(request_for(tmp_path, "one", 120, *flags)) == 0
    parity = compare(tmp_path / "one", SystemClock(), {symbol: Momentum() for symbol in SYMBOLS})
    assert (parity.equal, parity.orders_equal, parity.fills_equal) == (True, None, None)
    cost = parity.shortfall
    assert cost is not None
    assert cost.filled > 5
    assert cost.fees > 0
    assert cost.spread > 0
    assert cost.total == pytest.approx(cost.delay + cost.spread + cost.impact + cost.fees + cost.opportunity)
    assert set(cost.by_symbol) <= set(SYMBOLS)
    assert json.loads((tmp_path / "one" / "parity.json").read_text())["shortfall"]["orders"] == cost.orders
    page = (tmp_path / "one" / "parity.html").read_text()
    assert "Implementation shortfall" in page
    assert "Costliest orders" in page
