"""What the bridge uses of Backtrader's objects, as types; Backtrader itself has none."""

from __future__ import annotations

from typing import Any, Protocol

from forwardtrader.live.bridge.data import CCXTData
from forwardtrader.live.execution.events import Intent


class LiveOrderData(Protocol):
    """`order.created` and `order.executed`: sizes in base units, negative for a sale, prices in quote units."""

    size: float
    remsize: float
    price: float
    pricelimit: float | None
    psize: float


class LiveOrder(Protocol):
    """`backtrader.Order`. `info` carries the `intent` and its `request` as the venue takes it, `client_id`, `role` and `reason`."""

    ref: int
    status: int
    exectype: int
    size: float
    valid: float | None
    transmit: bool
    triggered: bool
    trailamount: float | None
    trailpercent: float | None
    _limitoffset: float
    data: CCXTData
    parent: LiveOrder | None
    info: dict[str, Any]
    created: LiveOrderData
    executed: LiveOrderData

    def alive(self) -> bool: ...

    def active(self) -> bool: ...

    def isbuy(self) -> bool: ...

    def issell(self) -> bool: ...

    def activate(self) -> None: ...

    def submit(self, broker: object) -> None: ...

    def accept(self, broker: object) -> None: ...

    def reject(self, broker: object) -> None: ...

    def cancel(self) -> None: ...

    def completed(self) -> None: ...

    def margin(self) -> None: ...

    def clone(self) -> LiveOrder: ...

    def addinfo(self, **info: object) -> None: ...

    def addcomminfo(self, comminfo: BtCommission) -> None: ...

    def execute(self, dt: float, size: float, price: float, *parts: float) -> None: ...


class BtPosition(Protocol):
    """`backtrader.Position`; `update` returns size, price, and the units opened and closed."""

    size: float
    price: float

    def update(self, size: float, price: float) -> tuple[float, float, float, float]: ...


class BtCommission(Protocol):
    """`backtrader.CommInfoBase`."""

    margin: float

    def getvaluesize(self, size: float, price: float) -> float: ...

    def profitandloss(self, size: float, price: float, newprice: float) -> float: ...


def intent_of(order: LiveOrder) -> Intent | None:
    """What the journal has of the order, or will have once it is sent; None for one that was refused here."""
    intent = order.info.get("intent")
    return intent if isinstance(intent, Intent) else None


def known_intent(order: LiveOrder) -> Intent:
    """As `intent_of`, for an order that was not refused here."""
    intent = intent_of(order)
    assert intent is not None
    return intent


def set_intent(order: LiveOrder, intent: Intent) -> None:
    """Have the order go on as `intent`."""
    order.addinfo(intent=intent, request=intent.request, client_id=intent.client_id)
