"""From ccxt's dictionaries to our facts. ccxt changes and shares those objects after it handed them out: they are copied here at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from forwardtrader.live.execution.events import Execution, OpenOrder

STAND_IN: Final = "synthetic-"  # begins the trade id of an execution that the venue does not tell one by one
_CLIENT_ID_KEYS = ("clientOrderId", "orderLinkId", "C", "c")


@dataclass(frozen=True, kw_only=True)
class OrderReport:
    """What an answer, a report or a query says of one order. `status` is ccxt's: open, closed, canceled, expired, rejected or ""."""

    client_id: str
    venue_id: str
    symbol: str
    side: str
    size: Decimal
    status: str
    filled: Decimal
    average: Decimal
    at: int
    executions: tuple[Execution, ...] = ()


def order_report(order: Mapping[str, Any]) -> OrderReport:
    """Read a unified order; anything may be missing."""
    return OrderReport(
        client_id=client_id_in(order),
        venue_id=str(order.get("id") or ""),
        symbol=str(order.get("symbol") or ""),
        side=str(order.get("side") or ""),
        size=number(order.get("amount")),
        status=str(order.get("status") or ""),
        filled=number(order.get("filled")),
        average=number(order.get("average") or order.get("price")),
        at=int(order.get("lastTradeTimestamp") or order.get("timestamp") or 0),
        executions=tuple(execution(t, order) for t in order.get("trades") or () if t.get("id") and t.get("amount")),
    )


def execution(trade: Mapping[str, Any], order: Mapping[str, Any] | None = None) -> Execution:
    """Read a unified trade; what it leaves out is taken from its order."""
    whole = order or {}
    fee = trade.get("fee") or {}
    return Execution(
        symbol=str(trade.get("symbol") or whole.get("symbol") or ""),
        trade_id=str(trade.get("id") or ""),
        client_id=client_id_in(trade) or client_id_in(whole),
        venue_id=str(trade.get("order") or whole.get("id") or ""),
        side=str(trade.get("side") or whole.get("side") or ""),
        size=number(trade.get("amount")),
        price=number(trade.get("price")),
        fee=number(fee.get("cost")),
        fee_currency=str(fee.get("currency") or ""),
        at=int(trade.get("timestamp") or whole.get("timestamp") or 0),
    )


def synthetic(news: OrderReport, booked: Decimal) -> Execution:
    """Stands for the fills of an order whose trades the venue does not tell; equal facts give an equal id."""
    return Execution(
        symbol=news.symbol, trade_id=f"{STAND_IN}{news.client_id}-{news.filled}", client_id=news.client_id, venue_id=news.venue_id,
        side=news.side, size=news.filled - booked, price=news.average, fee=Decimal(0), fee_currency="", at=news.at,
    )  # fmt: skip


def open_order(order: Mapping[str, Any]) -> OpenOrder:
    """Read a unified resting order."""
    stop = order.get("stopPrice") or order.get("triggerPrice") or order.get("stopLossPrice") or order.get("takeProfitPrice")
    kind = str(order.get("type") or "")
    return OpenOrder(
        symbol=str(order.get("symbol") or ""),
        venue_id=str(order.get("id") or ""),
        client_id=client_id_in(order),
        side=str(order.get("side") or ""),
        kind=kind,
        size=number(order.get("amount")),
        filled=number(order.get("filled")),
        limit_price=number(order.get("price")) or None,
        stop_price=number(stop) or None,
    )


def client_id_in(said: Mapping[str, Any]) -> str:
    """The client id of an order or trade. A report of a cancel names the order's own id as `C`, the cancel's as `c`."""
    unified = said.get("clientOrderId")
    raw = said.get("info")
    if unified and not isinstance(raw, Mapping):
        return str(unified)
    held = raw if isinstance(raw, Mapping) else {}
    if held.get("C"):
        return str(held["C"])
    return str(unified or next((held[key] for key in _CLIENT_ID_KEYS if held.get(key)), ""))


def number(value: Any) -> Decimal:
    """A venue's number; zero where it is missing."""
    return Decimal(0) if value in (None, "") else Decimal(str(value))
