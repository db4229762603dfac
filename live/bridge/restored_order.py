"""An order that an earlier process left at the venue, as a Backtrader order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import backtrader as bt
from backtrader.order import BuyOrder, SellOrder

from forwardtrader.core.types import Side
from forwardtrader.live.execution.events import Intent

_KINDS: Final = {(True, True): bt.Order.StopLimit, (True, False): bt.Order.Stop, (False, True): bt.Order.Limit}


def restored_order(intent: Intent, data: Any, filled: Decimal, average: float, held: float) -> Any:
    """The accepted order of `intent` on its feed, `filled` base units of it executed at `average`, of which `held` are in the account."""
    request = intent.request
    kind = BuyOrder if request.side is Side.BUY else SellOrder
    stop, limit = (None if p is None else float(p) for p in (request.stop_price, request.limit_price))
    order = kind(
        owner=None, data=data, size=float(request.size), price=stop or limit or 0.0, pricelimit=limit if stop else None,
        exectype=_KINDS.get((stop is not None, limit is not None), bt.Order.Market), simulated=True,
    )  # fmt: skip
    order.p.simulated = False  # only its making needed that: there is no bar yet
    order.addinfo(client_id=intent.client_id, request=request, reason=request.reason, role=intent.role)
    order.status = bt.Order.Accepted
    signed = float(filled) * (1 if order.isbuy() else -1)
    order.executed.remsize -= signed
    order.executed.size, order.executed.price, order.executed.psize = signed, average, held
    return order
