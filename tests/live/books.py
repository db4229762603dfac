"""Do venue, journal and Backtrader tell the same story? The question at the end of every fault."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from forwardtrader.core.types import Side
from forwardtrader.live.execution.journal import IntentState, Journal
from forwardtrader.live.venue.client_ids import prefix_in, run_prefix

START = Decimal(10_000)


def filled_at(trades: list[dict[str, Any]]) -> dict[str, Decimal]:
    """Venue order number to what was executed of it."""
    total: dict[str, Decimal] = {}
    for trade in trades:
        total[str(trade["order_id"])] = total.get(str(trade["order_id"]), Decimal(0)) + Decimal(trade["size"])
    return total


def require_agreement(venue: Any, journal: Journal, run: Any = None, *, prefix: str = "bt-") -> None:
    """Each intent at most one order at the venue, each execution booked once, position and cash the same everywhere.

    Args:
        venue: anything with `control(command)`.
        run: the Backtrader strategy, to look at its broker too.
        prefix: the name of the run; a hyphen after it counts for nothing.
    """
    ours_begin = prefix_in(journal.oldest()) or run_prefix(prefix.removesuffix("-"))
    orders = [o for o in venue.control("orders")["orders"] if o["client_id"].startswith(ours_begin)]
    trades, filled = venue.control("trades")["trades"], filled_at(venue.control("trades")["trades"])
    at_venue = {o["client_id"]: o for o in orders}
    assert Counter(o["client_id"] for o in orders) == Counter(at_venue.keys()), "an intent was sent twice"
    intents = {intent.client_id: (intent, state) for intent, state in journal.intents()}
    assert at_venue.keys() <= intents.keys(), "an order that no intent stands for"
    for name, (_, state) in intents.items():
        there = at_venue.get(name)
        if state in (IntentState.HELD, IntentState.DROPPED):
            assert there is None, f"{name} is {state}, and at the venue"
            continue
        assert state in (IntentState.REFUSED, IntentState.DONE, IntentState.ACKNOWLEDGED), f"{name} is left {state}"
        assert (there is None) == (state is IntentState.REFUSED), f"{name} is {state}, the venue says {there}"
        if there is not None:
            assert journal.filled(name) == filled.get(str(there["id"]), Decimal(0)), f"{name} is booked wrongly"
            rests = there["status"].lower() in ("new", "partially_filled", "partial")
            assert (state is IntentState.ACKNOWLEDGED) == rests, f"{name} is {state}, at the venue {there['status']}"
    booked = [(e.symbol, e.trade_id) for e in journal.executions()]
    ours = {str(o["id"]) for o in orders}
    assert len(booked) == len(set(booked)) == len([t for t in trades if str(t["order_id"]) in ours])
    if run is not None:
        _require_positions(venue, journal, run, {str(o["id"]) for o in orders}, trades)


def _require_positions(venue: Any, journal: Journal, run: Any, ours: set[str], trades: list[dict[str, Any]]) -> None:
    cash, coins = START, Counter[str]()
    for trade in (t for t in trades if str(t["order_id"]) in ours):
        sign = 1 if trade["side"] == Side.BUY else -1
        size, worth, fee = (Decimal(trade[n]) if n != "worth" else Decimal(trade["size"]) * Decimal(trade["price"])
                            for n in ("size", "worth", "fee"))  # fmt: skip
        base, quote = trade["symbol"].partition(":")[0].split("/")
        cash -= sign * worth + (fee if trade["fee_asset"] == quote else 0)
        coins[trade["symbol"]] += sign * size - (fee if trade["fee_asset"] == base else 0)
    assert run.broker.cash == pytest.approx(float(cash), abs=1e-6)
    for data in run.datas:
        assert run.broker.holdings.held[data].size == pytest.approx(float(coins[data._name]), abs=1e-9)
