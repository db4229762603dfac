"""ccxt's orders and trades as our own types. ccxt changes and shares its objects after it returned them: they are copied here at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from forwardtrader.live.execution.events import SYNTHETIC, Execution, RestingOrder
from forwardtrader.live.venue.ccxt_client import CcxtFee, CcxtNumber, CcxtOrder, CcxtTrade
from forwardtrader.live.venue.ccxt_errors import would_take

_CLIENT_ID_KEYS = ("clientOrderId", "orderLinkId", "C", "c")
_FEE_CURRENCY_KEYS = ("feeCurrency", "feeCoin")


@dataclass(frozen=True, kw_only=True)
class OrderReport:
    """The state of one order, from an answer, a report or a query.

    Attributes:
        status: ccxt's: open, closed, canceled, expired, rejected or "".
        crossed: whether the venue ended it since it was post-only and would have taken.
    """

    client_id: str
    venue_id: str
    symbol: str
    side: str
    size: Decimal
    status: str
    filled: Decimal
    average: Decimal
    at: int
    crossed: bool = False
    executions: tuple[Execution, ...] = ()


def order_report(order: CcxtOrder) -> OrderReport:
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
        crossed=_is_crossed(order),
        executions=tuple(execution(t, order) for t in order.get("trades") or () if t.get("id") and t.get("amount")),
    )


def _is_crossed(order: CcxtOrder) -> bool:
    """Bybit accepts such an order of a contract, and names the reason with its end."""
    raw = order.get("info")
    return isinstance(raw, Mapping) and would_take((), str(raw.get("rejectReason") or ""))


def execution(trade: CcxtTrade, order: CcxtOrder | None = None) -> Execution:
    """Read a unified trade; what it leaves out is taken from its order."""
    whole: CcxtOrder = order or {}
    fee: CcxtFee = trade.get("fee") or {}
    return Execution(
        symbol=str(trade.get("symbol") or whole.get("symbol") or ""),
        trade_id=str(trade.get("id") or ""),
        client_id=client_id_in(trade) or client_id_in(whole),
        venue_id=str(trade.get("order") or whole.get("id") or ""),
        side=str(trade.get("side") or whole.get("side") or ""),
        size=number(trade.get("amount")),
        price=number(trade.get("price")),
        fee=number(fee.get("cost")),
        fee_currency=_fee_currency(trade, fee),
        at=int(trade.get("timestamp") or whole.get("timestamp") or 0),
    )


def _fee_currency(trade: CcxtTrade, fee: CcxtFee) -> str:
    """As the venue itself names it: ccxt takes Bybit's spot fee for one in what was received, which depends on the account."""
    raw = trade.get("info")
    named = next((raw[key] for key in _FEE_CURRENCY_KEYS if raw.get(key)), "") if isinstance(raw, Mapping) else ""
    return str(named or fee.get("currency") or "")


def synthetic(report: OrderReport, booked: Decimal) -> Execution:
    """One execution for the fills of an order whose trades the venue does not list; equal facts give an equal id."""
    return Execution(
        symbol=report.symbol, trade_id=f"{SYNTHETIC}{report.client_id}-{report.filled}", client_id=report.client_id,
        venue_id=report.venue_id, side=report.side, size=report.filled - booked, price=report.average, fee=Decimal(0), fee_currency="",
        at=report.at,
    )  # fmt: skip


def open_order(order: CcxtOrder) -> RestingOrder:
    """Read a unified resting order."""
    stop = order.get("stopPrice") or order.get("triggerPrice") or order.get("stopLossPrice") or order.get("takeProfitPrice")
    kind = str(order.get("type") or "")
    return RestingOrder(
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


def client_id_in(reported: CcxtOrder | CcxtTrade) -> str:
    """The client id of an order or trade. A report of a cancel names the order's own id as `C`, the cancel's as `c`."""
    unified = reported.get("clientOrderId")
    raw = reported.get("info")
    if unified and not isinstance(raw, Mapping):
        return str(unified)
    held = raw if isinstance(raw, Mapping) else {}
    if held.get("C"):
        return str(held["C"])
    return str(unified or next((held[key] for key in _CLIENT_ID_KEYS if held.get(key)), ""))


def number(value: CcxtNumber) -> Decimal:
    """A venue's number; zero where it is missing."""
    return Decimal(0) if value in (None, "") else Decimal(str(value))
