"""An order made for show: every step up to the wire, and nothing left of it."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any, Final

from backtrader.order import BuyOrder

from forwardtrader.core.types import OrderRequest
from forwardtrader.live.bridge.pre_trade_checks import admitted
from forwardtrader.live.execution.events import Intent
from forwardtrader.strategies.feed_context import context_of

_CLIENT_ID: Final = "rehearsal-00000000-0"
_BEYOND: Final = 2  # times the smallest order, so that rounding leaves it one


class ShownOrder(BuyOrder):
    """Takes no number from those of real orders."""

    refbasis = itertools.count(1)


def rehearse_order(broker: Any, data: Any) -> None:
    """Take the steps of a market order of the smallest size for `data`, at a `CCXTBroker`; none is numbered, kept, told of, or sent.

    Raises:
        StorageFull, StoreDamaged: the journal cannot be kept; nothing was.
    """
    if not data.is_current or not len(data):
        return
    answer = admitted(broker, BuyOrder, data, _smallest(data), None, None, None, None, None, {})
    if not isinstance(answer, OrderRequest):
        return  # nothing could be sent now, so nothing is awaited
    order = ShownOrder(owner=None, data=data, size=float(answer.size), simulated=True)
    order.addinfo(request=answer)
    order.clone()
    intent = Intent(client_id=_CLIENT_ID, request=answer, bar=0, role="")
    store = broker.store
    store.account.rehearsal.begin(store.loop.spawn, intent)
    store.journal.rehearse(intent)


def _smallest(data: Any) -> float:
    rules = context_of(data).rules
    by_value = rules.min_notional / Decimal(str(data.close[0])) if data.close[0] > 0 else Decimal(0)
    return _BEYOND * float(max(rules.step, rules.min_size, by_value))
