"""Classification of errors that answer an order, by name and text: ccxt's class tree groups by other criteria."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final


class OrderOutcome(Enum):
    """What is known after an order was sent and an error came back."""

    REJECTED = "rejected"  # definitely not executed
    MARGIN = "margin"  # not executed: too little money
    ADOPT = "adopt"  # an open order has this client id: ask for it
    RESEND = "resend"  # refused for its time stamp, definitely not executed: correct the clock, sign and send again
    BUSY = "busy"  # not executed: pause for as long as the venue asks; one query confirms
    HALT = "halt"  # the key is not accepted: nothing will be executed until somebody acts
    UNKNOWN = "unknown"  # executed or not: only the venue knows


_BY_NAME: Final[dict[str, OrderOutcome]] = {
    "InsufficientFunds": OrderOutcome.MARGIN,
    "InvalidNonce": OrderOutcome.RESEND,
    "DuplicateOrderId": OrderOutcome.ADOPT,
    "DDoSProtection": OrderOutcome.BUSY,
    **dict.fromkeys(
        ("AccountNotEnabled", "AccountSuspended", "AuthenticationError", "PermissionDenied", "RestrictedLocation"), OrderOutcome.HALT
    ),
    **dict.fromkeys(
        (
            "ArgumentsRequired", "BadRequest", "BadSymbol", "ContractUnavailable", "InvalidOrder", "MarketClosed", "NotSupported",
            "OperationRejected", "OrderImmediatelyFillable", "OrderNotFillable", "ManualInteractionNeeded", "MarginModeAlreadySet",
            "NoChange", "InvalidAddress", "AddressPending", "InvalidProxySettings",
        ),
        OrderOutcome.REJECTED,
    ),
    **dict.fromkeys(
        (
            "BadResponse", "BaseError", "CancelPending", "ChecksumError", "ExchangeClosedByUser", "ExchangeError", "ExchangeNotAvailable",
            "NetworkError", "NullResponse", "OnMaintenance", "OperationFailed", "OrderNotCached", "OrderNotFound", "RateLimitExceeded",
            "RequestTimeout", "UnsubscribeError",
        ),
        OrderOutcome.UNKNOWN,
    ),
}  # fmt: skip
# Texts that are more precise than the class; the first that occurs decides.
_BY_TEXT: Final = (
    ("Duplicate order sent", OrderOutcome.ADOPT),
    ("-4116", OrderOutcome.ADOPT),  # the same at Binance USD-M
    ("-2015", OrderOutcome.HALT),  # a revoked key comes back as DDoSProtection once an earlier call had succeeded
    ("-1015", OrderOutcome.BUSY),
    ("-1021", OrderOutcome.RESEND),
    ("-1000", OrderOutcome.UNKNOWN),
    ("-1001", OrderOutcome.UNKNOWN),
    ("-1006", OrderOutcome.UNKNOWN),
    ("-1007", OrderOutcome.UNKNOWN),
    ("-1008", OrderOutcome.UNKNOWN),
)
# What is said of a post-only order that would have taken from the book, at Binance (spot, USD-M) and Bybit.
_WOULD_TAKE: Final = ("immediately match and take", "-5022", "170218", "PostOnly", "Post Only", "post only")
KNOWN: Final = frozenset(_BY_NAME)


def classify(names: Iterable[str], text: str) -> OrderOutcome:
    """The outcome of an order that was answered by an error.

    Args:
        names: the error's class and its bases, nearest first.
        text: its message.
    """
    for sign, outcome in _BY_TEXT:
        if sign in text:
            return outcome
    return next((_BY_NAME[name] for name in names if name in _BY_NAME), OrderOutcome.UNKNOWN)


def would_take(names: Iterable[str], text: str) -> bool:
    """Whether a post-only order was refused since it would have taken from the book. Arguments as for `classify`."""
    return bool({"OrderImmediatelyFillable", "OrderNotFillable"} & set(names)) or any(sign in text for sign in _WOULD_TAKE)


def names_of(error: BaseException) -> list[str]:
    return [kind.__name__ for kind in type(error).__mro__]


def is_query_error(names: Iterable[str], *, unsent: bool) -> bool:
    """Whether a query failed for its own form, and would fail again: it is no answer of the venue.

    Args:
        names: as for `classify`.
        unsent: whether ccxt raised the error without sending anything.
    """
    known = set(names)
    if known & {"ArgumentsRequired", "NotSupported", "AmbiguousOrder", "VenueRedirected"}:
        return True
    return unsent and not known & {"NetworkError", "OperationFailed", "OSError", "TimeoutError"}
