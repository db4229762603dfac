"""Pre-trade checks of the live broker: what adds exposure is blocked while entries are, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from forwardtrader.core.settings import RiskSettings
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.bridge.pre_trade_checks import OrderTicket, blocked, check, limited
from forwardtrader.strategies.feed_context import attach, context_of
from forwardtrader.strategies.trading_state.guard import TradingGuard
from tests.live.market import Script, play, practice, store_on


def order(data: Any, side: Side, size: float) -> OrderTicket:
    return OrderTicket(side=side, data=data, size=size, price=None, plimit=None, exectype=None, oco=None, parent=None, reason="")


def block_of(run: Any, side: Side) -> str:
    """Why an order of 0.05 is not sent now."""
    ticket = order(run.data, side, 0.05)
    request = check(run.broker, ticket)
    assert isinstance(request, OrderRequest)
    return limited(run.broker, ticket, request) or blocked(run.broker, ticket, request)


@pytest.fixture(scope="module")
def run() -> Iterator[Any]:
    """A run that bought 0.1, as it stands at its last bar."""
    with practice(fee_asset="quote") as venue:
        yield play(venue, store_on(venue), Script, 4, acts={0: lambda s: s.buy(size=0.1)})


@pytest.mark.parametrize(
    ("can_short", "held", "side", "is_blocked"),
    [
        (False, 0.1, Side.BUY, True), (False, 0.1, Side.SELL, False),
        (True, 0.1, Side.BUY, True), (True, 0.1, Side.SELL, False),
        (True, 0.0, Side.SELL, True), (True, -0.1, Side.SELL, True), (True, -0.1, Side.BUY, False),
    ],
)  # fmt: skip
def test_only_orders_that_add_exposure_are_blocked(run: Any, can_short: bool, held: float, side: Side, is_blocked: bool) -> None:
    facts = context_of(run.data)
    attach(run.data, replace(facts, rules=replace(facts.rules, can_short=can_short)))
    run.broker.holdings.held[run.data].set(held, run.data.close[0])
    assert block_of(run, side) == ""
    run.broker.entries_blocked = True
    try:
        block = block_of(run, side)
    finally:
        run.broker.entries_blocked = False
        attach(run.data, facts)
    assert block == ("the session is paused" if is_blocked else "")


def test_a_doubt_about_the_price_blocks_entries_and_no_exits(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run.broker.store, "entry_objection", lambda _symbol: "the venues disagree")
    run.broker.holdings.held[run.data].set(0.1, run.data.close[0])
    assert block_of(run, Side.BUY) == "the venues disagree"
    assert block_of(run, Side.SELL) == ""


def test_limits_of_the_account_let_exits_through_and_a_person_sell_everything(run: Any) -> None:
    guard = run.broker.guard = TradingGuard.of(RiskSettings(max_daily_loss=0.05, max_drawdown=0.2, on_drawdown="halt"))
    assert guard is not None
    run.broker.holdings.held[run.data].set(0.1, run.data.close[0])
    try:
        guard.on_bar(0.0, 100.0)
        assert (block_of(run, Side.BUY), block_of(run, Side.SELL)) == ("", "")
        guard.on_bar(60.0, 94.0)
        assert (block_of(run, Side.BUY), block_of(run, Side.SELL)) == ("reduce only (risk.max_daily_loss)", "")
        guard.on_bar(120.0, 70.0)
        assert (block_of(run, Side.BUY), block_of(run, Side.SELL)) == ("halted (risk.max_drawdown)",) * 2
        sale = replace(order(run.data, Side.SELL, 0.1), role="flatten")
        request = check(run.broker, sale)
        assert isinstance(request, OrderRequest)
        assert limited(run.broker, sale, request) == blocked(run.broker, sale, request) == ""
        guard.rearm()
        assert block_of(run, Side.BUY) == ""
    finally:
        run.broker.guard = None


def test_a_blocked_order_is_recorded_on_the_grid_as_one_that_was_sent() -> None:
    def blocks(strategy: Any) -> None:
        strategy.broker.entries_blocked = True
        strategy.blocked = strategy.buy(size=0.0123456789)

    with practice(fee_asset="quote") as venue:
        run = play(venue, store_on(venue), Script, 4, acts={0: blocks})
        assert (run.blocked.getstatusname(), run.blocked.created.size) == ("Rejected", 0.01234)
