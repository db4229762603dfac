"""Entries that were to rest, as the journal has them: what was filled, what followed, and what the waiting cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import Execution, Intent
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.parity.resting_entries import resting_entries
from forwardtrader.live.parity.shortfall import cost_of, sent_orders

HOUR = 3_600_000
AT = pd.date_range("2021-01-01", periods=6, freq="h", tz="UTC")
START = int(AT[0].timestamp() * 1000)
CANDLES = {"BTC/USDT:USDT": pd.DataFrame({"close": [100.0, 99.0, 97.0, 98.0, 99.0, 99.0]}, index=AT)}


def intent(
    name: str, *, limit: str | None = "99.5", size: str = "2", post_only: str = "market", bar: int = 0, replaces: str = ""
) -> Intent:
    request = OrderRequest(
        symbol="BTC/USDT:USDT", side=Side.BUY, size=Decimal(size), limit_price=None if limit is None else Decimal(limit)
    )  # fmt: skip
    return Intent(client_id=name, request=request, bar=START + bar * HOUR, post_only=post_only, replaces=replaces)


def fill(name: str, number: int, size: str, price: str, fee: str, bar: int) -> Execution:
    return Execution(
        symbol="BTC/USDT:USDT", trade_id=str(number), client_id=name, venue_id="1", side="buy", size=Decimal(size), price=Decimal(price),
        fee=Decimal(fee), fee_currency="USDT", at=START + bar * HOUR + 5,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A quarter of one entry was filled as a maker, the rest at the market; one crossed, one was given up."""
    journal = Journal(tmp_path / "journal.db")
    journal.write(intent("a"))
    journal.book(fill("a", 1, "0.5", "99.5", "0.01", 1))
    journal.mark("a", IntentState.DONE, note="canceled")
    journal.hold(intent("b", limit=None, size="1.5", post_only="", bar=2, replaces="a"))
    journal.release(intent("b", limit=None, size="1.5", post_only="", bar=2, replaces="a"))
    journal.book(fill("b", 2, "1.5", "101", "0.2", 3))
    journal.mark("b", IntentState.DONE)
    journal.write(intent("c", bar=3))
    journal.mark("c", IntentState.REFUSED, note="reported: the price had come to its limit before it could rest (post-only)")
    journal.write(intent("d", bar=3, post_only="give_up"))
    journal.mark("d", IntentState.DONE, note="expired")
    journal.close()
    return tmp_path


def test_the_journal_tells_what_became_of_entries_that_were_to_rest(folder: Path) -> None:
    found = resting_entries(folder / "journal.db", CANDLES)
    assert found is not None
    assert (found.rested, found.crossed, found.filled, found.handed_over, found.given_up) == (2, 1, 1, 1, 1)
    assert found.fill_rate == pytest.approx(0.5 / 4)
    assert (found.maker_fees, found.taker_fees) == (pytest.approx(0.01), pytest.approx(0.2))
    assert found.adverse_selection_bps[1] == pytest.approx((1 - 97.0 / 99.5) * 1e4)


def test_a_session_without_such_entries_tells_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.write(replace(intent("a"), post_only=""))
    journal.close()
    assert resting_entries(tmp_path / "journal.db", CANDLES) is None
    assert resting_entries(tmp_path / "none.db", CANDLES) is None


def test_the_wait_of_an_entry_is_measured_from_the_close_that_it_was_decided_on(folder: Path) -> None:
    rested, market = sent_orders(folder, CANDLES)[:2]
    assert (rested.decision, rested.own_price, rested.ordered) == (100.0, None, 0.5)  # the rest is the market order's
    assert cost_of(rested).total == pytest.approx(-0.5 * 0.5 + 0.01)
    assert (market.decision, market.fees) == (100.0, pytest.approx(0.2))
    assert cost_of(market).total == pytest.approx(1.5 * 1.0 + 0.2)
