"""Bybit's error codes and messages, returned in an HTTP 200 response."""

from __future__ import annotations

from typing import Final

from forwardtrader.sandbox.orders.refusal import RefusalReason


class BybitError(Exception):
    """An error response: Bybit's code and message; the HTTP status is 200 except for gateway errors."""

    def __init__(self, code: int, text: str, status: int = 200, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.retry_after = retry_after


_SPOT: Final[dict[RefusalReason, tuple[int, str]]] = {
    RefusalReason.UNKNOWN_SYMBOL: (10001, "Not supported symbols"),
    RefusalReason.MARKET_CLOSED: (170121, "Invalid symbol."),
    RefusalReason.PRICE_FILTER: (170134, "Order price has too many decimals."),
    RefusalReason.LOT_SIZE: (170137, "Order volume decimal too long."),
    RefusalReason.MARKET_LOT_SIZE: (170135, "Order quantity exceeded the upper limit."),
    RefusalReason.NOTIONAL: (170140, "Order value exceeded lower limit."),
    RefusalReason.MAX_ORDERS: (170227, "The number of open orders exceeds the limit."),
    RefusalReason.MAX_TRIGGERS: (170228, "The number of conditional orders exceeds the limit."),
    RefusalReason.INSUFFICIENT_BALANCE: (170131, "Insufficient balance."),
    RefusalReason.DUPLICATE_CLIENT_ID: (170141, "Duplicate clientOrderId."),
    RefusalReason.WOULD_TAKE: (170218, "The LIMIT-MAKER order is rejected due to invalid price."),
    RefusalReason.WOULD_TRIGGER: (170192, "The trigger price would be reached at once."),
    RefusalReason.UNKNOWN_ORDER: (170213, "Order does not exist."),
    RefusalReason.ORDER_DONE: (170213, "Order does not exist."),
    RefusalReason.REDUCE_ONLY: (110017, "Reduce-only rule not satisfied"),
    RefusalReason.POSITION_MODE: (10001, "position idx not match position mode"),
    RefusalReason.LEVERAGE: (110090, "The position may exceed the maximum limit; adjust the leverage"),
    RefusalReason.LEVERAGE_RANGE: (110013, "Cannot set leverage due to risk limit level"),
}
_LINEAR: Final[dict[RefusalReason, tuple[int, str]]] = {
    RefusalReason.MARKET_CLOSED: (110074, "The contract is not available for trading"),
    RefusalReason.PRICE_FILTER: (10001, "params error: Price invalid"),
    RefusalReason.LOT_SIZE: (10001, "Qty invalid"),
    RefusalReason.MARKET_LOT_SIZE: (10001, "The number of contracts exceeds maximum limit allowed"),
    RefusalReason.NOTIONAL: (110094, "Order notional value below the lower limit"),
    RefusalReason.INSUFFICIENT_BALANCE: (110007, "ab not enough for new order"),
    RefusalReason.DUPLICATE_CLIENT_ID: (110072, "OrderLinkedID is duplicate"),
    RefusalReason.UNKNOWN_ORDER: (110001, "order not exists or too late to cancel"),
    RefusalReason.ORDER_DONE: (110001, "order not exists or too late to cancel"),
}
_INJECTED: Final[dict[str, tuple[int, str, int]]] = {
    "revoked": (10003, "API key is invalid.", 200),
    "maintenance": (10016, "System maintenance.", 503),
    "unknown error": (10016, "Server error.", 200),
    "no balance": (170131, "Insufficient balance.", 200),
    "not found": (170213, "Order does not exist.", 200),
    "status unknown": (10000, "Server Timeout", 200),
    "unavailable 503": (10016, "Server error.", 503),
    "unavailable overloaded": (10016, "Server is busy.", 503),
    "unavailable html": (10016, "Bad gateway", 502),
    "too many requests": (10006, "Too many visits. Exceeded the API Rate Limit.", 200),
    "banned": (10018, "IP is banned for exceeding the rate limit.", 200),
}

DENIED: Final = BybitError(10005, "Permission denied, please check your API key permissions.")
NO_KEY: Final = BybitError(10003, "API key is invalid.")
BAD_SIGN: Final = BybitError(10004, "error sign! please check your signature generation algorithm.")
INTERNAL: Final = BybitError(10016, "Server error.")


def refused(reason: RefusalReason, *, linear: bool) -> BybitError:
    return BybitError(*(_LINEAR.get(reason) or _SPOT[reason] if linear else _SPOT[reason]))


def injected(what: str, seconds: float) -> BybitError:
    code, text, status = _INJECTED[what]
    return BybitError(code, text, status, max(1, int(seconds)) if what in ("banned", "too many requests") else None)


def bad(text: str) -> BybitError:
    """The error for an invalid parameter."""
    return BybitError(10001, f"params error: {text}")


def bad_time(stamp: int, now: int, window: int) -> BybitError:
    text = (
        "invalid request, please check your server timestamp or recv_window param. "
        f"req_timestamp[{stamp}],server_timestamp[{now}],recv_window[{window}]"
    )
    return BybitError(10002, text)
