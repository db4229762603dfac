"""Order updates: what an execution does to order, position and cash, and changed rules to a feed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import backtrader as bt
import pytest
from backtrader.order import BuyOrder, SellOrder
from backtrader.position import Position

from forwardtrader.core.types import MarketRules, Timeframe
from forwardtrader.live.bridge.order_updates import execute, update_rules
from forwardtrader.live.execution.events import Execution
from forwardtrader.strategies.costs import VenueCommission
from forwardtrader.strategies.feed_context import FeedContext, attach, context_of

RULES = MarketRules(symbol="BTC/USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), step=Decimal("0.00001"))
MINUTE = 60_000


@pytest.fixture
def data() -> Any:
    class Feed:
        symbol = "BTC/USDT"

    feed = Feed()
    attach(feed, FeedContext(RULES, Timeframe.parse("1m")))
    return feed


def order(data: Any, kind: Any, size: float) -> Any:
    made = kind(owner=None, data=data, size=size, price=100.0, exectype=bt.Order.Market, simulated=True)
    made.p.simulated = False
    return made


def fill(size: str, side: str = "buy", fee: str = "0", currency: str = "") -> Execution:
    return Execution(
        symbol="BTC/USDT", trade_id="1", client_id="a", venue_id="7", side=side, size=Decimal(size), price=Decimal(100), fee=Decimal(fee),
        fee_currency=currency, at=5 * MINUTE + 17,
    )  # fmt: skip


def test_a_fee_in_quote_is_commission_and_leaves_the_size(data: Any) -> None:
    made, position = order(data, BuyOrder, 2.0), Position()
    cash = execute(made, position, VenueCommission(commission=0.0), fill("2", fee="0.2", currency="USDT"))
    assert (cash, position.size, position.price) == (-200.2, 2.0, 100.0)
    assert (made.executed.size, made.executed.comm, made.executed.remsize) == (2.0, 0.2, 0.0)
    assert "gross_size" not in made.info


def test_a_fee_in_base_shrinks_what_is_delivered_and_the_money_adds_up(data: Any) -> None:
    made, position = order(data, BuyOrder, 2.0), Position()
    cash = execute(made, position, VenueCommission(commission=0.0), fill("2", fee="0.002", currency="BTC"))
    assert cash == pytest.approx(-200.0)
    assert position.size == pytest.approx(1.998)
    assert position.size * position.price == pytest.approx(200.0)
    assert made.executed.remsize == 0.0
    assert (made.info["gross_size"], made.info["fee_base"]) == (2.0, 0.002)


def test_floats_that_do_not_add_up_complete_the_order_and_close_the_position(data: Any) -> None:
    position = Position(0.1 + 0.2, 100.0)
    made = order(data, SellOrder, 0.3)
    execute(made, position, VenueCommission(commission=0.0), fill("0.3", side="sell"))
    assert position.size == 0.0
    assert abs(made.executed.remsize) < 1e-12


def test_changed_rules_are_put_on_the_feed_and_the_same_ones_change_nothing(data: Any) -> None:
    now = replace(RULES, step=Decimal("0.001"), fee_in_base=True)
    assert update_rules([data], [RULES]) == []
    assert update_rules([data], [now]) == [replace(RULES, step=Decimal("0.001"))]
    assert context_of(data).rules == replace(RULES, step=Decimal("0.001"))
    assert update_rules([data], [replace(now, symbol="ETH/USDT")]) == []
