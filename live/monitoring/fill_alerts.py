"""Messages about orders that were executed: one for each order, however many executions it took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import backtrader as bt

from forwardtrader.strategies.backtrader_objects import BtOrder

_PARTLY_S: Final = 60.0  # after which an order that goes on to rest is told of
_STOPS: Final = (bt.Order.Stop, bt.Order.StopLimit, bt.Order.StopTrail, bt.Order.StopTrailLimit)


@dataclass
class _Part:
    order: BtOrder
    since: float
    is_told: bool = False


class FillAlerts:
    """Follows orders from notification to notification. Fills are in the session's tables, so these are sent and not recorded.

    Args:
        send: passes an alert on: kind, level and text; must not block.
    """

    def __init__(self, send: Callable[[str, str, str], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._monotonic = monotonic
        self._parts: dict[int, _Part] = {}

    def note(self, order: BtOrder) -> None:
        """Backtrader notifies of an order; what was executed of it is sent once it is over."""
        part = self._parts.pop(order.ref, None)
        if order.status == bt.Order.Partial:
            since = self._monotonic() if part is None else part.since
            self._parts[order.ref] = _Part(order, since, is_told=part is not None and part.is_told)
        elif not order.alive() and order.executed.size:
            self._tell(order)

    def send_due(self) -> None:
        """Send what was executed of orders that rest on."""
        for part in self._parts.values():
            if not part.is_told and self._monotonic() - part.since >= _PARTLY_S:
                part.is_told = True
                self._tell(part.order)

    def _tell(self, order: BtOrder) -> None:
        done, asked = abs(order.executed.size), abs(order.created.size)
        of = f" of {asked:g}" if order.alive() or order.status != bt.Order.Completed else ""
        is_stop = order.exectype in _STOPS
        reason = "the stop was reached" if is_stop else str(order.info.get("reason", ""))
        text = f"{'bought' if order.isbuy() else 'sold'} {done:g}{of} {order.data._name} at {order.executed.price:g}"
        kind, level = ("stop_filled", "warning") if is_stop else ("order_filled", "info")
        self._send(kind, level, f"{text} ({reason})" if reason else text)
