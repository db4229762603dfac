"""Reconciliation of journal and venue."""

from __future__ import annotations

from decimal import Decimal

import pytest

from forwardtrader.core.errors import ReconciliationFailed
from forwardtrader.core.types import MarketRules, OrderRequest, Side
from forwardtrader.live.execution.events import Execution, Intent, RestingOrder
from forwardtrader.live.execution.reconciliation import position_of, reconcile, require_covered

RULES = MarketRules(symbol="BTC/USDT", base="BTC", quote="USDT", tick=Decimal("0.01"), step=Decimal("0.00001"))


def intent(name: str = "a", size: str = "1.0") -> Intent:
    return Intent(client_id=name, request=OrderRequest(symbol="BTC/USDT", side=Side.BUY, size=Decimal(size)), bar=0)


def execution(trade: str, size: str, client_id: str = "a", side: str = "buy", fee: str = "0", currency: str = "") -> Execution:
    return Execution(
        symbol="BTC/USDT", trade_id=trade, client_id=client_id, venue_id="7", side=side, size=Decimal(size), price=Decimal(100),
        fee=Decimal(fee), fee_currency=currency, at=1,
    )  # fmt: skip


def resting_order(name: str, venue_id: str, filled: str = "0") -> RestingOrder:
    return RestingOrder(
        symbol="BTC/USDT", venue_id=venue_id, client_id=name, side="buy", kind="limit", size=Decimal(1), filled=Decimal(filled),
        limit_price=Decimal(9), stop_price=None,
    )  # fmt: skip


def test_reconciliation_asks_for_whatever_does_not_rest_as_it_is_booked() -> None:
    intents = [(intent(name), Decimal(booked)) for name, booked in (("rests", "0"), ("gone", "0"), ("filling", "0.2"), ("told", "0.4"))]
    told = [("rests", "1", "0"), ("filling", "2", "0.4"), ("told", "3", "0.4"), ("x", "4", "0")]
    resting = [resting_order(*order) for order in told]
    found = reconcile(intents, resting, {"1": "rests", "2": "filling", "3": "told"})
    assert [(i.client_id, venue_id) for i, venue_id in found.adopt] == [("rests", "1"), ("told", "3")]
    assert [i.client_id for i in found.ask] == ["gone", "filling"]
    assert [o.client_id for o in found.foreign] == ["x"]


def test_coins_that_are_gone_refuse_the_start() -> None:
    bought = [execution("1", "1", fee="0.001", currency="BTC"), execution("2", "0.4", side="sell")]
    assert position_of(bought, RULES) == Decimal("0.599")
    require_covered(bought, [RULES], {"BTC": Decimal("0.599")})
    with pytest.raises(ReconciliationFailed, match=r"0\.599 BTC"):
        require_covered(bought, [RULES], {"BTC": Decimal("0.5")})
