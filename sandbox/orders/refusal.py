"""Reasons why the engine refuses a request; each protocol maps them to its own error codes."""

from __future__ import annotations

from enum import StrEnum

from forwardtrader.core.errors import TradingError


class RefusalReason(StrEnum):
    UNKNOWN_SYMBOL = "unknown symbol"
    MARKET_CLOSED = "market closed"
    PRICE_FILTER = "price off its grid or range"
    LOT_SIZE = "size off its grid or range"
    MARKET_LOT_SIZE = "market size above its limit"
    NOTIONAL = "value below the minimum"
    MAX_ORDERS = "too many open orders"
    MAX_TRIGGERS = "too many open orders with a trigger"
    INSUFFICIENT_BALANCE = "insufficient balance"
    DUPLICATE_CLIENT_ID = "an open order has this client id"
    WOULD_TAKE = "would match at once"
    WOULD_TRIGGER = "would trigger at once"
    UNKNOWN_ORDER = "unknown order"
    ORDER_DONE = "order is no longer open"
    LIST_PRICES = "list legs on the wrong sides of the market"
    REDUCE_ONLY = "nothing to reduce"
    POSITION_MODE = "the account is in hedge mode"
    LEVERAGE = "the leverage is above what the tier of the position allows"
    LEVERAGE_RANGE = "leverage outside its range"


class OrderRefused(TradingError):
    """The engine did not accept the request; nothing changed."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(f"refused: {reason}")
        self.reason = reason
