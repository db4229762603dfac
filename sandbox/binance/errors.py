"""Binance's error codes and messages."""

from __future__ import annotations

import math
from typing import Final

from forwardtrader.sandbox.orders.refusal import RefusalReason


class ApiError(Exception):
    """An error response: HTTP status, Binance's code and message."""

    def __init__(self, code: int, text: str, status: int = 400, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.retry_after = retry_after

    @property
    def body(self) -> dict[str, object]:
        return {"code": self.code, "msg": self.text}


DECIMAL_RANGE: Final = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
CLIENT_ID_RANGE: Final = r"^[a-zA-Z0-9-_]{1,36}$"
CANCEL: Final = "cancel"
QUERY: Final = "query"

_REFUSED: Final[dict[RefusalReason, tuple[int, str]]] = {
    RefusalReason.UNKNOWN_SYMBOL: (-1121, "Invalid symbol."),
    RefusalReason.MARKET_CLOSED: (-1013, "Market is closed."),
    RefusalReason.PRICE_FILTER: (-1013, "Filter failure: PRICE_FILTER"),
    RefusalReason.LOT_SIZE: (-1013, "Filter failure: LOT_SIZE"),
    RefusalReason.MARKET_LOT_SIZE: (-1013, "Filter failure: MARKET_LOT_SIZE"),
    RefusalReason.NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    RefusalReason.MAX_ORDERS: (-1013, "Filter failure: MAX_NUM_ORDERS"),
    RefusalReason.MAX_TRIGGERS: (-1013, "Filter failure: MAX_NUM_ALGO_ORDERS"),
    RefusalReason.INSUFFICIENT_BALANCE: (-2010, "Account has insufficient balance for requested action."),
    RefusalReason.DUPLICATE_CLIENT_ID: (-2010, "Duplicate order sent."),
    RefusalReason.WOULD_TAKE: (-2010, "Order would immediately match and take."),
    RefusalReason.WOULD_TRIGGER: (-2010, "Stop price would trigger immediately."),
    RefusalReason.LIST_PRICES: (-2010, "The relationship of the prices for the orders is not correct."),
    RefusalReason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    RefusalReason.POSITION_MODE: (-4061, "Order's position side does not match user's setting."),
    RefusalReason.LEVERAGE: (-2027, "Exceeded the maximum allowable position at current leverage."),
    RefusalReason.LEVERAGE_RANGE: (-4028, "Leverage is not valid."),
}


def refused(reason: RefusalReason, doing: str = "") -> ApiError:
    """The error for a refusal; an unknown order has one code for a cancel and another for a query."""
    if reason in (RefusalReason.UNKNOWN_ORDER, RefusalReason.ORDER_DONE):
        return ApiError(-2011, "Unknown order sent.") if doing == CANCEL else ApiError(-2013, "Order does not exist.")
    return ApiError(*_REFUSED[reason])


def injected(what: str, seconds: float, now: int) -> ApiError:
    """The error of an injected fault; `what` is the name that `InjectedFault` gives it."""
    wait = max(1, math.ceil(seconds))
    if what == "banned":
        return banned(now + wait * 1000, wait)
    if what == "too many requests":
        return too_much_weight(6000, wait)
    return ApiError(*_INJECTED[what])


_INJECTED: Final[dict[str, tuple[int, str, int]]] = {
    "revoked": (-2015, "Invalid API-key, IP, or permissions for action.", 401),
    "maintenance": (-1001, "Internal error; unable to process your request. Please try again.", 503),
    "unknown error": (-1000, "An unknown error occurred while processing the request.", 500),
    "no balance": (-2010, "Account has insufficient balance for requested action.", 400),
    "not found": (-2013, "Order does not exist.", 400),
    "status unknown": (
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        504,
    ),
    "unavailable 503": (-1001, "Internal error; unable to process your request. Please try again.", 503),
    "unavailable overloaded": (-1008, "Server is currently overloaded with other requests. Please try again in a few minutes.", 503),
    "unavailable html": (-1001, "Internal error; unable to process your request. Please try again.", 502),
}
HTML_502: Final = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n"
)


def missing(name: str) -> ApiError:
    return ApiError(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def unneeded(name: str) -> ApiError:
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def illegal(name: str, allowed: str) -> ApiError:
    return ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{allowed}'.")


def unread(read: int, sent: int) -> ApiError:
    return ApiError(-1104, f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'.")


def invalid_data(name: str) -> ApiError:
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def too_much_weight(limit: int, retry_after: int) -> ApiError:
    text = (
        f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    return ApiError(-1003, text, 429, retry_after)


def banned(until_ms: int, retry_after: int) -> ApiError:
    text = f"Way too much request weight used; IP banned until {until_ms}. Please use WebSocket Streams for live updates to avoid bans."
    return ApiError(-1003, text, 418, retry_after)


def too_many_orders(limit: int, interval: str, retry_after: int) -> ApiError:
    return ApiError(-1015, f"Too many new orders; current limit is {limit} orders per {interval}.", 429, retry_after)


BAD_KEY: Final = ApiError(-2015, "Invalid API-key, IP, or permissions for action.", 401)
KEY_FORMAT: Final = ApiError(-2014, "API-key format invalid.", 401)
BAD_SIGNATURE: Final = ApiError(-1022, "Signature for this request is not valid.")
TOO_OLD: Final = ApiError(-1021, "Timestamp for this request is outside of the recvWindow.")
TOO_NEW: Final = ApiError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
WINDOW_TOO_LONG: Final = ApiError(-1131, "recvWindow must be less than 60000")
INTERNAL: Final = ApiError(-1000, "An unknown error occurred while processing the request.", 500)
