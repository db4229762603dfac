"""Error codes and messages of Binance USD-M, where they differ from spot's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from forwardtrader.sandbox.binance import errors
from forwardtrader.sandbox.binance.errors import ApiError
from forwardtrader.sandbox.orders.refusal import OrderRefused, RefusalReason

T = TypeVar("T")
_REFUSED: Final[dict[RefusalReason, tuple[int, str]]] = {
    RefusalReason.MARKET_CLOSED: (-4140, "Invalid symbol status for opening position."),
    RefusalReason.PRICE_FILTER: (-4014, "Price not increased by tick size."),
    RefusalReason.LOT_SIZE: (-1111, "Precision is over the maximum defined for this asset."),
    RefusalReason.MARKET_LOT_SIZE: (-4005, "Quantity greater than max quantity."),
    RefusalReason.NOTIONAL: (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
    RefusalReason.MAX_ORDERS: (-2025, "Reach max open order limit."),
    RefusalReason.MAX_TRIGGERS: (-4045, "Reach max stop order limit."),
    RefusalReason.INSUFFICIENT_BALANCE: (-2019, "Margin is insufficient."),
    RefusalReason.DUPLICATE_CLIENT_ID: (-4116, "ClientOrderId is duplicated."),
    RefusalReason.WOULD_TAKE: (-5022, "Due to the order could not be executed as maker, the Post Only order will be rejected."),
    RefusalReason.WOULD_TRIGGER: (-2021, "Order would immediately trigger."),
}
SWITCH_TO_ALGO: Final = ApiError(-4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.")
MODE_UNCHANGED: Final = ApiError(-4059, "No need to change position side.")
MARGIN_UNCHANGED: Final = ApiError(-4046, "No need to change margin type.")
MODE_IN_USE: Final = ApiError(-4068, "Position side cannot be changed if there exists position.")
ORDERS_IN_USE: Final = ApiError(-4067, "Position side cannot be changed if there exists open orders.")


def refused(reason: RefusalReason, doing: str = "") -> ApiError:
    """The error for a refusal; an unknown order has one code for a cancel and another for a query."""
    return ApiError(*_REFUSED[reason]) if reason in _REFUSED else errors.refused(reason, doing)


def translated(act: Callable[[], T], doing: str = "") -> T:
    """Carry out a request; raises ApiError as the venue would."""
    try:
        return act()
    except OrderRefused as refusal:
        raise refused(refusal.reason, doing) from refusal
