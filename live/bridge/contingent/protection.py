"""Positions that were without their stop, and have one again: a venue whose lists lag shows it late, or the strategy sent another one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from forwardtrader.live.bridge.bt_types import LiveOrder, known_intent
from forwardtrader.live.bridge.data import CCXTData
from forwardtrader.live.execution.events import UNPROTECTED, Protected
from forwardtrader.live.execution.journal import IntentState
from forwardtrader.strategies.feed_context import context_of
from forwardtrader.strategies.order_rules import decimal, is_dust
from forwardtrader.strategies.orders.trailing_stops import STOPS

if TYPE_CHECKING:
    from forwardtrader.live.bridge.broker import CCXTBroker

RESUMED: Final = "resumed"


def look_at_unprotected(broker: CCXTBroker) -> None:
    """Let symbols take new exposure again whose position has its stop at the venue; nothing is judged while anything is on its way."""
    if not broker.unprotected or not broker.is_settled:
        return
    covered = [data for data in broker.store.datas if data.symbol in broker.unprotected and len(data) and is_covered(broker, data)]
    for data in covered:
        broker.store.notify(Protected(data.symbol, "a stop rests for all of it"))


def settle(broker: CCXTBroker, event: Protected) -> None:
    """A symbol takes new exposure again."""
    if broker.unprotected.pop(event.symbol, None) is not None:
        broker.journal.remember(UNPROTECTED, broker.unprotected)
        broker.store.put_notification("protected", event.symbol, event.why)


def is_covered(broker: CCXTBroker, data: CCXTData) -> bool:
    """Whether stops that the venue has acknowledged rest for what is held, and nothing is about to add to that without a stop of its own.

    Where nothing is held nothing shows that the next position would have its stop.
    """
    held, rules = decimal(broker.units_held(data)), context_of(data).rules
    if is_dust(abs(held), data.close[0], rules):
        return False
    ours = [order for order in broker.get_orders_open() if order.data is data and broker.is_sent(order)]
    exits = [order for order in ours if order.issell() == (held > 0)]
    bare_entries = [order for order in ours if order not in exits and not broker.contingent.children(order)]
    return not bare_entries and abs(held) - sum((_resting(broker, o) for o in exits if o.exectype in STOPS), Decimal(0)) <= rules.step


def _resting(broker: CCXTBroker, stop: LiveOrder) -> Decimal:
    """Base units that a stop has at the venue."""
    intent, journal = known_intent(stop), broker.journal
    if journal.state_of(intent.client_id) is not IntentState.ACKNOWLEDGED or broker.contingent.is_making_room(stop):
        return Decimal(0)
    return intent.request.size - journal.filled(intent.client_id)
