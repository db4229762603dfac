"""Risk limits on the account itself, checked before every order of any strategy.

An order that reduces the position passes the limits on value: a limit must never lock anybody in.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from forwardtrader.core.settings import RiskSettings
from forwardtrader.core.types import OrderRequest, Side
from forwardtrader.live.execution.events import AccountEvent, Ended, Execution, Filled, Intent, Refused, Replaced
from forwardtrader.live.execution.reconciliation import assets_of
from forwardtrader.strategies.order_rules import adds_exposure

_MINUTE_S: Final = 60.0
_REDUCING_SHARE: Final = 2  # orders that reduce the position may be so many times as frequent


class AccountRiskLimits:
    """Tracks what is held, what was sent, and how often; `admit` decides, `on_event` keeps it up to date.

    Args:
        last_price: the last price known of a symbol, or None.
        minute_s: how many seconds of the machine's clock a minute of the market lasts; 0 where it has no clock (lockstep).
        can_short: whether a symbol's market allows short positions; where it does not, a sale never adds exposure, also one of coins
            that were not bought here.

    Attributes:
        hold: why no order may add exposure now; set by the watchdog, "" for none.
        interlock: asked before each order that would add exposure, as `hold`; must be cheap.
    """

    def __init__(
        self, limits: RiskSettings, last_price: Callable[[str], float | None], *, minute_s: float = _MINUTE_S,
        can_short: Callable[[str], bool] = lambda _symbol: False, monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.hold = ""
        self.interlock: Callable[[], str] = lambda: ""
        self._limits = limits
        self._last_price = last_price
        self._minute_s = minute_s
        self._can_short = can_short
        self._monotonic = monotonic
        self._positions: dict[str, Decimal] = {}  # base units, negative when short
        self._open: dict[str, Intent] = {}
        self._filled: dict[str, Decimal] = {}
        self._sent: deque[float] = deque()

    def clear(self) -> None:
        """Forget positions and open orders, before they are restored anew."""
        self._positions.clear()
        self._open.clear()
        self._filled.clear()

    def restore(self, executions: Iterable[Execution], open_intents: Iterable[Intent]) -> None:
        """Start from what an earlier process left."""
        self._open |= {intent.client_id: intent for intent in open_intents}
        for fill in executions:
            self._book(fill)

    def on_event(self, event: AccountEvent) -> None:
        """Update positions and open orders."""
        if isinstance(event, Filled):
            self._book(event.execution)
        elif isinstance(event, Replaced):
            base = event.stand_in.symbol.partition("/")[0]
            fees = sum((e.fee for e in event.executions if e.fee_currency == base), Decimal(0))
            self._positions[event.stand_in.symbol] = self._positions.get(event.stand_in.symbol, Decimal(0)) - fees
        elif isinstance(event, Refused | Ended):
            self._close(event.client_id)

    def admit(self, intent: Intent) -> str:
        """Why an order must not be sent; "" for one that may, which counts from now on."""
        reason = self.check(intent.request, is_new=not intent.replaces)
        if not reason:
            self._open[intent.client_id] = intent
            self._sent.append(self._monotonic())
        return reason

    def check(self, request: OrderRequest, *, is_new: bool = True) -> str:
        """Why an order must not be sent; "" for one that may. One that is not new takes the place of another, which has left the venue for
        it: it is not kept back for coming too soon."""
        limits, adds = self._limits, self._adds_exposure(request)
        hold = (self.hold or self.interlock()) if adds else ""
        if not limits.gate:
            return hold
        if is_new and self._is_too_frequent(adds):
            return f"more than {limits.max_orders_per_minute} orders in a minute (risk.max_orders_per_minute)"
        last = self._last_price(request.symbol)
        if beyond := _beyond_collar(request, last, limits.price_collar):
            return beyond
        return hold or (self._too_large(request, last) if adds else "")

    def _adds_exposure(self, request: OrderRequest) -> bool:
        if not self._can_short(request.symbol):
            return request.side is Side.BUY
        return adds_exposure(self._positions.get(request.symbol, Decimal(0)), request.side, request.size)

    def _too_large(self, request: OrderRequest, last: float | None) -> str:
        price = request.limit_price or request.stop_price or (Decimal(str(last)) if last else None)
        if price is None:
            return f"no price of {request.symbol} is known, so what the order is worth is not known"
        quote, worth = assets_of(request.symbol)[1], request.size * price
        if worth > Decimal(str(self._limits.max_order_value)):
            return f"an order worth {worth:.2f} {quote} is beyond risk.max_order_value ({self._limits.max_order_value:g})"
        would = self._largest_position(request) * price
        if would > Decimal(str(self._limits.max_position_value)):
            return f"a position worth {would:.2f} {quote} would be beyond risk.max_position_value ({self._limits.max_position_value:g})"
        return ""

    def _largest_position(self, request: OrderRequest) -> Decimal:
        """The size of the position if this order and all open ones of its side were filled."""
        same_side = [i for i in self._open.values() if i.symbol == request.symbol and i.request.side is request.side]
        rest = sum((i.request.size - self._filled.get(i.client_id, Decimal(0)) for i in same_side), Decimal(0))
        position = self._positions.get(request.symbol, Decimal(0))
        return request.size + rest + (position if request.side is Side.BUY else -position)

    def _is_too_frequent(self, adds: bool) -> bool:
        now = self._monotonic()
        while self._sent and now - self._sent[0] >= self._minute_s:
            self._sent.popleft()
        most = self._limits.max_orders_per_minute * (1 if adds else _REDUCING_SHARE)
        return self._minute_s > 0 and len(self._sent) >= most

    def _book(self, fill: Execution) -> None:
        position = self._positions.get(fill.symbol, Decimal(0)) + (fill.size if fill.side == "buy" else -fill.size)
        if fill.fee_currency == fill.symbol.partition("/")[0]:
            position -= fill.fee
        self._positions[fill.symbol] = position if self._can_short(fill.symbol) else max(Decimal(0), position)
        intent = self._open.get(fill.client_id)
        if intent is not None:
            self._filled[fill.client_id] = self._filled.get(fill.client_id, Decimal(0)) + fill.size
            if self._filled[fill.client_id] >= intent.request.size:
                self._close(fill.client_id)

    def _close(self, client_id: str) -> None:
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
