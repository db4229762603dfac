"""Pre-trade checks of the live broker: what adds exposure is blocked while entries are, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.bridge.pre_trade_checks import OrderTicket, check
from forwardtrader.strategies.feed_context import attach, context_of
from forwardtrader.strategies.order_rules import OrderRefusal
from tests.live.market import Script, play, practice, store_on


def order(data: Any, side: Side, size: float) -> OrderTicket:
    return OrderTicket(side=side, data=data, size=size, price=None, plimit=None, exectype=None, oco=None, parent=None, reason="")


@pytest.fixture(scope="module")
def run() -> Iterator[Any]:
    """A run that bought 0.1, as it stands at its last bar."""
    with practice(fee_asset="quote") as venue:
        yield play(venue, store_on(venue), Script, 4, acts={0: lambda s: s.buy(size=0.1)})


@pytest.mark.parametrize(
    ("can_short", "held", "side", "blocked"),
    [
        (False, 0.1, Side.BUY, True), (False, 0.1, Side.SELL, False),
        (True, 0.1, Side.BUY, True), (True, 0.1, Side.SELL, False),
        (True, 0.0, Side.SELL, True), (True, -0.1, Side.SELL, True), (True, -0.1, Side.BUY, False),
    ],
)  # fmt: skip
def test_only_orders_that_add_exposure_are_blocked(run: Any, can_short: bool, held: float, side: Side, blocked: bool) -> None:
    facts = context_of(run.data)
    attach(run.data, replace(facts, rules=replace(facts.rules, can_short=can_short)))
    run.broker.holdings.held[run.data].set(held, run.data.close[0])
    assert isinstance(check(run.broker, order(run.data, side, 0.05)), OrderRequest)
    run.broker.entries_blocked = True
    try:
        answer = check(run.broker, order(run.data, side, 0.05))
    finally:
        run.broker.entries_blocked = False
        attach(run.data, facts)
    assert (answer == OrderRefusal("the session is paused")) is blocked


def test_a_doubt_about_the_price_blocks_entries_and_no_exits(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.broker.store, "entry_objection", lambda _symbol: "the venues disagree")
    run.broker.holdings.held[run.data].set(0.1, run.data.close[0])
    assert check(run.broker, order(run.data, Side.BUY, 0.05)) == OrderRefusal("the venues disagree")
    assert isinstance(check(run.broker, order(run.data, Side.SELL, 0.05)), OrderRequest)
