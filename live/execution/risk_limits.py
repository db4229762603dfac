"""What no order of any strategy gets past: limits on the account itself, looked at where orders leave.

Orders that make the position smaller are let through whatever they are worth: a limit must never lock anybody in.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from forwardtrader.core.settings import RiskSettings
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import AccountEvent, Ended, Execution, Intent, Refused, Traded

_MINUTE_S: Final = 60.0
_LEAVING_SHARE: Final = 2  # orders that make the position smaller may be so many times as frequent


class RiskLimits:
    """Keeps count of what is held, what was sent, and how often; `objection` decides, `heard` and `sent` keep it up to date.

    Args:
        price: the last price known of a symbol, or None.
        minute_s: how many seconds of the machine's clock a minute of the market lasts; 0 where it has no clock (lockstep).
    """

    def __init__(
        self, limits: RiskSettings, price: Callable[[str], float | None], *, minute_s: float = _MINUTE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.hold = ""  # set by whoever watches: why nothing may be added to a position now
        self._limits = limits
        self._price = price
        self._minute_s = minute_s
        self._monotonic = monotonic
        self._held: dict[str, Decimal] = {}
        self._open: dict[str, Intent] = {}
        self._filled: dict[str, Decimal] = {}
        self._sent: deque[float] = deque()

    def know(self, executions: Iterable[Execution], open_now: Iterable[Intent]) -> None:
        """Begin with what an earlier process left."""
        self._open |= {intent.client_id: intent for intent in open_now}
        for told in executions:
            self._book(told)

    def heard(self, event: AccountEvent) -> None:
        """Take in what became of orders."""
        if isinstance(event, Traded):
            self._book(event.execution)
        elif isinstance(event, Refused | Ended):
            self._over(event.client_id)

    def sent(self, intent: Intent) -> None:
        """An order was let through."""
        self._open[intent.client_id] = intent
        self._sent.append(self._monotonic())

    def objection(self, intent: Intent) -> str:
        """Why an order must not be sent; "" where nothing speaks against it."""
        request, limits = intent.request, self._limits
        adds = request.side is Side.BUY  # at a spot venue nothing can be sold that is not held
        if not limits.gate:
            return self.hold if adds else ""
        if self._is_too_often(adds):
            return f"more than {limits.max_orders_per_minute} orders in a minute (risk.max_orders_per_minute)"
        last = self._price(request.symbol)
        beyond = _beyond_collar(request, last, limits.price_collar)
        if beyond:
            return beyond
        if not adds:
            return ""
        if self.hold:
            return self.hold
        return self._too_large(request, last)

    def _too_large(self, request: OrderRequest, last: float | None) -> str:
        price = request.limit_price or request.stop_price or (Decimal(str(last)) if last else None)
        if price is None:
            return f"no price of {request.symbol} is known, so what the order is worth cannot be told"
        quote, worth = request.symbol.partition("/")[2], request.size * price
        if worth > Decimal(str(self._limits.max_order_value)):
            return f"an order worth {worth:.2f} {quote} is beyond risk.max_order_value ({self._limits.max_order_value:g})"
        would = self._would_be(request) * price
        if would > Decimal(str(self._limits.max_position_value)):
            return f"a position worth {would:.2f} {quote} would be beyond risk.max_position_value ({self._limits.max_position_value:g})"
        return ""

    def _would_be(self, request: OrderRequest) -> Decimal:
        """The position if this order and all open ones that buy were filled."""
        buys = [i for i in self._open.values() if i.symbol == request.symbol and i.request.side is Side.BUY]
        rest = sum((i.request.size - self._filled.get(i.client_id, Decimal(0)) for i in buys), Decimal(0))
        return self._held.get(request.symbol, Decimal(0)) + rest + request.size

    def _is_too_often(self, adds: bool) -> bool:
        now = self._monotonic()
        while self._sent and now - self._sent[0] >= self._minute_s:
            self._sent.popleft()
        most = self._limits.max_orders_per_minute * (1 if adds else _LEAVING_SHARE)
        return self._minute_s > 0 and len(self._sent) >= most

    def _book(self, told: Execution) -> None:
        signed = told.size if told.side == "buy" else -told.size
        self._held[told.symbol] = max(Decimal(0), self._held.get(told.symbol, Decimal(0)) + signed)
        intent = self._open.get(told.client_id)
        if intent is not None:
            self._filled[told.client_id] = self._filled.get(told.client_id, Decimal(0)) + told.size
            if self._filled[told.client_id] >= intent.request.size:
                self._over(told.client_id)

    def _over(self, client_id: str) -> None:
        self._open.pop(client_id, None)
        self._filled.pop(client_id, None)


def _beyond_collar(request: OrderRequest, last: float | None, collar: float) -> str:
    """A limit that gives away more than `collar` of the last price (of the stop's, where the order waits for one)."""
    reference = request.stop_price or (Decimal(str(last)) if last else None)
    limit = request.limit_price
    if limit is None or reference is None or not collar:
        return ""
    away = limit / reference - 1 if request.side is Side.BUY else 1 - limit / reference
    if away <= Decimal(str(collar)):
        return ""
    return f"its limit {limit} is {away:.1%} beyond the price of {reference} (risk.price_collar {collar:g})"
