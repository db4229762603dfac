"""The event bus publishes every event to all subscribers, in order."""

from __future__ import annotations

from decimal import Decimal

from forwardtrader.core.types import Side
from forwardtrader.sandbox.engine.event_bus import EventBus
from forwardtrader.sandbox.engine.events import BalancesChanged, EngineEvent, ExecutionType, OrderChanged
from forwardtrader.sandbox.orders.order import OrderType, Trade
from tests.sandbox.orders.made_orders import listing, order

FILLED = order(OrderType.MARKET, Side.BUY)


def trade(fee_asset: str) -> Trade:
    one = Decimal(1)
    return Trade(
        id=1, order_id=1, account="main", symbol="BTC/USDT", side=Side.BUY, price=one, size=one, quote=one, fee=one, fee_asset=fee_asset,
        at=7, maker=False,
    )  # fmt: skip


def test_subscribers_get_each_event_in_the_order_of_their_subscription() -> None:
    bus, seen = EventBus({"BTC/USDT": listing(100)}, lambda: 7), list[tuple[str, EngineEvent]]()
    bus.subscribe(lambda event: seen.append(("first", event)))
    bus.subscribe(lambda event: seen.append(("second", event)))
    bus.publish_report(FILLED, ExecutionType.NEW)
    assert seen == [(name, OrderChanged(FILLED, ExecutionType.NEW, None, 7)) for name in ("first", "second")]


def test_an_order_comes_with_the_balances_it_moves() -> None:
    bus, seen = EventBus({"BTC/USDT": listing(100)}, lambda: 7), list[EngineEvent]()
    bus.subscribe(seen.append)
    bus.publish_order(FILLED, ExecutionType.TRADE, trade("USDT"))
    bus.publish_order(FILLED, ExecutionType.TRADE, trade("BNB"))
    assert [type(event) for event in seen] == [OrderChanged, BalancesChanged] * 2
    assert [event.assets for event in seen if isinstance(event, BalancesChanged)] == [("BTC", "USDT"), ("BTC", "USDT", "BNB")]
