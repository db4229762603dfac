"""From news of the account to Backtrader's orders and notifications."""

from __future__ import annotations

from typing import Any, Final

import backtrader as bt

from forwardtrader.core import log
from forwardtrader.core.errors import StorageFull
from forwardtrader.live.bridge.execution import execute
from forwardtrader.live.bridge.rules_change import take_rules
from forwardtrader.live.execution.events import (
    AccountEvent,
    Acknowledged,
    Ended,
    Execution,
    ForeignOrder,
    Halted,
    Refused,
    RulesRead,
    Traded,
    Unresolved,
)

_LOG: Final = log.logger("live")


def hear(broker: Any, event: AccountEvent) -> None:
    """Take one piece of news into a `CCXTBroker`.

    Raises:
        StorageFull: the account cannot keep its journal any more.
    """
    if isinstance(event, Traded):
        if not _execute(broker, event.execution):
            return
    elif isinstance(event, Acknowledged | Refused | Ended):
        _change(broker, event)
    elif isinstance(event, Halted):
        broker.halted = event.reason
        broker.store.put_notification("halted", event.reason)
    elif isinstance(event, Unresolved):
        broker.store.put_notification("unresolved", event.client_id)
    elif isinstance(event, ForeignOrder):
        broker.store.put_notification("foreign order", event)
    elif isinstance(event, RulesRead):
        for changed in take_rules(broker.store._datas, event.rules):
            broker.store.put_notification("rules changed", changed)
    broker.on_event(event)
    if isinstance(event, Halted) and event.unwritable:
        raise StorageFull(event.reason)


def _change(broker: Any, event: Acknowledged | Refused | Ended) -> None:
    order = broker.answered(event.client_id)
    if order is None or not order.alive():
        return
    if isinstance(event, Acknowledged):
        _accept(broker, order)
        return
    if isinstance(event, Refused):
        order.addinfo(refusal=event.reason)
        order.margin() if event.margin else order.reject(broker)
    elif event.how == "expired" or broker.is_expiring(order):
        order.status = bt.Order.Expired
    else:
        order.cancel()
    broker.notify(order)
    broker.over(order)


def _accept(broker: Any, order: Any) -> None:
    if order.status == bt.Order.Submitted:
        order.accept(broker)
        broker.notify(order)


def _execute(broker: Any, told: Execution) -> bool:
    """Book an execution on its order; False where there is none to be told of it."""
    order = broker.order_of(told.client_id)
    if order is None:
        log.event(_LOG, "execution_without_order", client_id=told.client_id, trade_id=told.trade_id)
        return False
    _accept(broker, order)
    position = broker.holdings.held[order.data]
    before = position.size
    broker.cash += execute(order, position, broker.getcommissioninfo(order.data), told)
    broker.holdings.settle(order, order.data, before)
    broker.notify(order)
    if not order.alive():
        broker.over(order)
    return True
